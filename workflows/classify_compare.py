"""medseg classify compare: several networks under one budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.networks.classification.architecture import ARCHITECTURES
from medseg.plane import PLANES
from medseg.workflows import bars, console, options

EPILOG = """\b
Example, ten networks of two minutes each:
  medseg classify compare dataset.json --plane coronal --out comparison --fold 0 --budget 2m
"""
_COMPARED = ",".join(name for name, facts in ARCHITECTURES.items() if facts.is_compared)


@click.command("compare", epilog=EPILOG)
@click.argument("dataset", type=options.FILE)
@click.option("--out", "folder", type=options.FOLDER, required=True, help="Folder of the runs; new or empty.")
@click.option("--networks", default=_COMPARED, show_default=True, help="Names, with commas.")
@click.option("--plane", type=click.Choice(list(PLANES)), default="axial", show_default=True)
@click.option("--context", type=click.IntRange(0, 8), default=1, show_default=True, help="Slices on either side.")
@click.option(
    "--kind",
    type=click.Choice(["multilabel", "multiclass"]),
    default="multiclass",
    show_default=True,
    help="One class per slice, the largest label, for top-1 errors; or several labels, for AUROC.",
)
@click.option("--classes", help="Names of the classes, with commas.  [default: all labels]")
@click.option(
    "--min-area",
    "min_area_mm2",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Square millimetres of a label that a slice must exceed to show it.",
)
@click.option("--fold", default="0", show_default=True, help="Validation fold.")
@click.option("--budget", help="Wall clock of each network's training and validation: 90s, 10m, 2h.")
@click.option("--epochs", type=click.IntRange(1), help="Length of each in epochs.  [default: 2 without --budget]")
@click.option("--config", "config_path", type=options.FILE, help="YAML of plan settings to change, the same for all.")
@click.option(
    "--seed", type=click.IntRange(0), help="Seed of weights, sampling and augmentation.  [default: the plan's]"
)
@click.option("--store", type=options.FOLDER, default=Path("medseg_store"), show_default=True, help="Prepared cases.")
@options.data_root
@options.device
@options.workers
@options.tracking
def command(**arguments: Any) -> None:
    """Train several networks on DATASET's slices with the same settings, and draw error against cost and depth."""
    from medseg.runs.classification.compare import compare_networks
    from medseg.runs.classification.settings import ClassificationSettings

    dataset = arguments.pop("dataset")
    names = tuple(name.strip() for name in arguments.pop("networks").split(","))
    if not arguments["budget"]:
        arguments["epochs"] = arguments["epochs"] or 2
    settings = options.training_settings(ClassificationSettings, {**arguments, "pooling": "none"})
    result = compare_networks(dataset, names, settings, on_trial=click.echo, progress=bars.Bars())
    if result.trials:
        click.echo(f"table and pictures in {result.folder}")
    console.warn(result.warnings)
    console.report_failures(result.failures)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
