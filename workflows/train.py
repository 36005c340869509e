"""medseg train: from a manifest to a trained model, with every number in MLflow."""

from __future__ import annotations

import time
from typing import Any

import click
from medseg.workflows import bars, console, options, processes

EPILOG = """\b
Examples:
  medseg train data/dataset.json --out run --fold 0 --budget 10m
  medseg train other/dataset.json --out tuned --init run --budget 5m
  medseg train data/dataset.json --out folds --fold all-folds --budget 50m
"""


@click.command("train", epilog=EPILOG)
@click.argument("dataset", type=options.FILE)
@options.training
@click.option(
    "--init",
    "initial",
    type=options.FILE,
    help="Earlier run of medseg train to fine-tune (or its model folder, or a file of weights in it): its network is "
    "kept, and its weights are taken by the names of labels and channels.",
)
@options.grid
@options.network
@options.preset
def command(**arguments: Any) -> None:
    """Plan, prepare and train on DATASET, a dataset.json or its folder.

    With --fold all-folds every fold is trained in turn, in a folder of its own, with equal parts of --budget; the
    numbers are then over the validation cases of all folds.
    """
    started = time.monotonic()
    from medseg.runs.folds import train_folds
    from medseg.runs.segmentation.job import SegmentationJob
    from medseg.runs.settings import ALL_FOLDS, TrainingSettings
    from medseg.runs.train import train_job

    dataset = arguments.pop("dataset")
    with processes.joined(arguments["device"]) as is_first:
        job = SegmentationJob(**{name: arguments.pop(name) for name in ("grid", "network", "preset")})
        settings = options.training_settings(TrainingSettings, arguments)
        if is_all := settings.fold == ALL_FOLDS:
            result = train_folds(job, dataset, settings, progress=bars.Bars())
        else:
            result = train_job(job, dataset, settings, started=started, progress=bars.Bars())
    if not is_first:
        return
    click.echo(result.summary)
    for note in result.notes:
        click.echo(note)
    console.warn(result.warnings)
    what = (
        "models in the folders fold_0, fold_1, ... of"
        if is_all
        else f"model in {result.folder / 'model'}, plan, curves and pictures in"
    )
    click.echo(f"{result.steps} steps in {result.seconds:.0f} s; {what} {result.folder}")
    console.report_failures(result.failures)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
