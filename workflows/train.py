"""medseg train: from a manifest to a trained model, with every number in MLflow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from medseg.workflows import bars, console, interruption, options, processes

EPILOG = """\b
Examples:
  medseg train data/dataset.json --out run --fold 0 --budget 10m
  medseg train other/dataset.json --out tuned --init run --budget 5m
  medseg train data/dataset.json --out run_2 --update run --budget 5m
  medseg train data/dataset.json --out folds --fold all-folds --budget 50m --parallel 2
  medseg train data/dataset.json --out both --head slice --budget 10m
  medseg train data/dataset.json --out curve --learning-curve --budget 30m
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
@click.option(
    "--update",
    type=options.FILE,
    help="Finished run of medseg train that learns new and corrected cases of DATASET beside its own: its plan and "
    "fold are kept, and what it forgets is measured on its own validation cases.",
)
@click.option(
    "--learning-curve",
    "has_curve",
    is_flag=True,
    help="Train on all cases, half of the patients and a quarter, with equal parts of --budget, and tell whether more "
    "labels or more time would help.",
)
@click.option("--parallel", type=click.IntRange(1), default=1, show_default=True,
              help="Folds of all-folds to train at once, each with its part of the cores or a GPU.")  # fmt: skip
@options.grid
@options.network
@options.preset
@options.head
def command(**arguments: Any) -> None:
    """Plan, prepare and train on DATASET, a dataset.json or its folder: masks, or the quantities that it names.

    With --fold all-folds every fold is trained, in a folder of its own, with equal parts of --budget. The numbers are
    then over the training cases of all folds; their masks are in out_of_fold, each by the network that has not seen it.
    """
    started = time.monotonic()
    interruption.end_hastily()
    from medseg.runs.describe import shortened
    from medseg.runs.learning_curve import train_learning_curve
    from medseg.runs.segmentation.job import SegmentationJob
    from medseg.runs.settings import TrainingSettings
    from medseg.runs.train_dataset import train_dataset

    dataset, has_curve = arguments.pop("dataset"), arguments.pop("has_curve")
    with processes.joined(arguments["device"]) as is_first:
        planned = {name: arguments.pop(name) for name in ("grid", "network", "preset", "head")}
        settings = options.training_settings(TrainingSettings, arguments)
        if has_curve:
            result = train_learning_curve(SegmentationJob(**planned), dataset, settings, progress=bars.Bars())
        else:
            result = train_dataset(dataset, settings, **planned, started=started, progress=bars.Bars())
    if not is_first:
        return
    click.echo(shortened(str(result.summary), most=console.MOST_TABLE_LINES))
    for note in result.notes:
        click.echo(note)
    console.warn(result.warnings)
    click.echo(f"{result.steps} steps in {result.seconds:.0f} s; {_what(result.folder)} {result.folder}")
    console.report_failures(result.failures)


def _what(folder: Path) -> str:
    """What a folder of a training holds."""
    has_masks = not any(folder.glob("fold_*/model/quantities.json"))
    masks = ", masks in out_of_fold" if has_masks else ""
    for several, more in (("fold", masks), ("cases", "")):
        if names := sorted(path.parents[1].name for path in folder.glob(f"{several}_*/model/last.safetensors")):
            return f"models in the folders {', '.join(names)}{more} of"
    return f"model in {folder / 'model'}, plan, curves and pictures in"


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
