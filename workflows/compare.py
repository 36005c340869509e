"""medseg compare: hold evaluations against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import bars, console, options

EPILOG = """\b
Example:
  medseg compare evaluation_a evaluation_b --out comparison
  medseg compare evaluation_a evaluation_b --dataset data --masks masks_a --masks masks_b --out comparison_drawn
"""


@click.command("compare", epilog=EPILOG)
@click.argument("evaluations", nargs=-1, required=True, type=options.FILE)
@click.option("--out", "folder", type=options.FOLDER, required=True, help="Folder of tables and page; new or empty.")
@click.option("--metric", default="dice", show_default=True, help="Metric to draw, as a column of metrics.csv.")
@click.option("--name", "names", multiple=True, help="Name of an evaluation, once for each, in their order.")
@click.option("--dataset", type=options.FILE, help="Dataset, to draw the worst cases' pictures that are missing.")
@click.option(
    "--masks", type=options.FILE, multiple=True, help="Masks of an evaluation, once for each, in their order."
)
@options.data_root
@options.tracking
def command(evaluations: tuple[Path, ...], folder: Path, names: tuple[str, ...], **arguments: Any) -> None:
    """Hold EVALUATIONS, folders that `medseg evaluate` wrote, against the first of them, case by case."""
    from medseg.runs.segmentation.compare import CompareSettings, compare_evaluations

    tracking = options.tracking_of(arguments)
    settings = CompareSettings(out=folder, names=names or None, tracking=tracking, **arguments)
    result = compare_evaluations(evaluations, settings, progress=bars.Bars())
    console.warn(result.warnings)
    click.echo(result)
    click.echo(f"tables and page in {folder}")


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
