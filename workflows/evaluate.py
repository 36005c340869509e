"""medseg evaluate: compare masks with labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import bars, console, options

EPILOG = """\b
Example:
  medseg evaluate data/dataset.json --masks masks --fold 0 --out evaluation
"""


@click.command("evaluate", epilog=EPILOG)
@click.argument("dataset", type=options.FILE)
@click.option("--masks", type=options.FILE, required=True, help="Folder that `medseg predict` wrote.")
@click.option("--out", "folder", type=options.FOLDER, required=True, help="Folder of the tables; new or empty.")
@click.option("--fold", type=click.IntRange(0), help="Only this fold's validation cases.")
@click.option(
    "--split", type=click.Choice(["training", "test"]), help="Only this split.  [default: all cases with labels]"
)
@click.option(
    "--dice-bound",
    type=click.FloatRange(0, 1),
    default=0.8,
    show_default=True,
    help="Mean Dice below which a mask counts as failed, where a classifier has checked the masks.",
)
@click.option(
    "--contract",
    type=options.FILE,
    help="YAML of what is measured and how: metrics, regions, tolerances in mm.  [default: every metric]",
)
@click.option(
    "--rater",
    type=options.FILE,
    help="Folder of a second reader's labels, named like masks; how far two readers agree is shown beside the model.",
)
@options.data_root
@options.cluster
@options.tracking
def command(dataset: Path, folder: Path, **arguments: Any) -> None:
    """Measure the masks of DATASET's cases on the scans' own grids; every selected case needs a mask."""
    from medseg.runs.segmentation.evaluate import EvaluateSettings, evaluate_masks

    tracking = options.tracking_of(arguments)
    settings = EvaluateSettings(out=folder, tracking=tracking, **arguments)
    result = evaluate_masks(dataset, settings, progress=bars.Bars())
    console.warn(result.warnings)
    click.echo(result.summary)
    if result.power is not None:
        click.echo(result.power)
    if result.inter_rater is not None:
        click.echo(result.inter_rater)
    if result.head is not None:
        click.echo(result.head)
    click.echo(f"tables and pictures in {folder}")
    console.report_failures([*result.failures, *(result.inter_rater.failures if result.inter_rater else ())])


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
