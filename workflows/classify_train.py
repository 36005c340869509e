"""medseg classify train: from a manifest to a trained slice classifier."""

from __future__ import annotations

import time
from typing import Any

import click
from click.core import ParameterSource
from medseg.networks.classification.architecture import ARCHITECTURES, NAMED_ARCHITECTURES
from medseg.plane import PLANES
from medseg.workflows import bars, console, interruption, options, processes

EPILOG = """\b
Examples:
  medseg classify train dataset.json --plane coronal --out classifier --fold 0 --budget 5m
  medseg classify train dataset.json --labels findings.csv --pooling attention --out classifier
"""

_PLANNED = ("plane", "context", "min_area_mm2", "kind", "classes", "pooling", "architecture")
_RIMS = ", ".join(f"{facts.label} {facts.smallest_side}" for facts in ARCHITECTURES.values() if facts.smallest_side > 1)


@click.command("train", epilog=EPILOG)
@click.argument("dataset", type=options.FILE)
@click.option("--plane", type=click.Choice(list(PLANES)), default="axial", show_default=True,
              help="Plane of the slices, along the scan's own axis that is nearest.")  # fmt: skip
@click.option("--context", type=click.IntRange(0, 8), default=1, show_default=True,
              help="Neighbouring slices on either side as further channels (2.5D); 0 is 2D.")  # fmt: skip
@click.option("--labels", default="label", show_default=True,
              help="'label' (volumes), 'slice_labels' (of the manifest), or a CSV file: case_id, perhaps slice (from "
              "0), and class, or a column of 1 and 0 per class.")  # fmt: skip
@click.option("--min-area", "min_area_mm2", type=click.FloatRange(0), default=0.0, show_default=True,
              help="Square millimetres of a label that a slice must exceed to show it.")  # fmt: skip
@click.option("--kind", type=click.Choice(["multilabel", "multiclass"]),
              help="Any number of classes per slice, or exactly one."
              "  [default: multilabel, but for a CSV file with a column class]")  # fmt: skip
@click.option("--classes", help="Names of the classes, with commas.  [default: all]")
@click.option("--pooling", type=click.Choice(["none", "max", "mean", "attention"]), default=None,
              help="Learn from labels of whole studies, with this pooling of their slices.  "
              "[default: none, or max for a CSV file without slices]")  # fmt: skip
@click.option("--architecture", type=click.Choice(NAMED_ARCHITECTURES), default="resnet18", show_default=True,
              help=f"Network; small slices are padded where it needs more pixels a side: {_RIMS}.")  # fmt: skip
@click.option("--init", "initial", type=options.FILE,
              help="Initial weights: ImageNet's in torchvision's naming (.safetensors, .pt or .pth, a state dict "
              "or a checkpoint with one), or a run of `medseg train`, whose encoder becomes the network.")  # fmt: skip
@options.training
def command(**arguments: Any) -> None:
    """Learn which slices of DATASET's scans show which labels."""
    started = time.monotonic()
    interruption.end_hastily()
    if arguments["plan_path"] and not arguments["resume"]:
        context = click.get_current_context()
        given = [name for name in _PLANNED if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if given:
            raise click.UsageError(
                f"--{given[0].replace('_', '-')} is decided by the plan; leave it out, or plan again"
            )
    from medseg.runs.classification.job import ClassificationJob
    from medseg.runs.classification.settings import ClassificationSettings
    from medseg.runs.train import train_job

    dataset = arguments.pop("dataset")
    with processes.joined(arguments["device"]) as is_first:
        settings = options.training_settings(ClassificationSettings, arguments)
        job = ClassificationJob(settings)
        result = train_job(job, dataset, settings, started=started, progress=bars.Bars())
    if not is_first:
        return
    if result.summary is not None:
        click.echo(result.summary)
    for note in result.notes:
        click.echo(note)
    console.warn(result.warnings)
    click.echo(
        f"{result.steps} steps in {result.seconds:.0f} s; classifier in {result.folder / 'model'}, plan, curves and "
        f"pictures in {result.folder}"
    )
    console.report_failures(result.failures)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
