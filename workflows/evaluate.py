"""medseg evaluate: compare masks with labels, or predicted volumes with quantities."""

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
    help="YAML of what is measured and how: metrics, regions, tolerances in mm; of doses the limits of gamma and the "
    "points of histograms.  [default: every metric]",
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
    """Measure what was predicted of DATASET's cases on the scans' own grids; every selected case needs its files."""
    from medseg.runs.describe import shortened
    from medseg.runs.evaluate import evaluate_dataset
    from medseg.runs.segmentation.evaluate import EvaluateResult, EvaluateSettings

    tracking = options.tracking_of(arguments)
    settings = EvaluateSettings(out=folder, tracking=tracking, **arguments)
    result = evaluate_dataset(dataset, settings, progress=bars.Bars())
    console.warn(result.warnings)
    click.echo(shortened(str(result.summary), most=console.MOST_TABLE_LINES))
    failures = list(result.failures)
    if isinstance(result, EvaluateResult):
        for found in (result.power, result.inter_rater, result.raters, result.head):
            if found is not None:
                click.echo(found)
        agreements = [one for one in (result.inter_rater, result.raters) if one is not None]
        failures += [failure for one in agreements for failure in one.failures]
    click.echo(f"tables and pictures in {folder}")
    console.report_failures(failures)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
