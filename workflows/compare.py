"""medseg compare: hold evaluations against each other."""

from __future__ import annotations

from pathlib import Path

import click
from medseg.workflows import console, options

EPILOG = """\b
Example:
  medseg compare evaluation_a evaluation_b --out comparison
"""


@click.command("compare", epilog=EPILOG)
@click.argument("evaluations", nargs=-1, required=True, type=options.FILE)
@click.option("--out", "folder", type=options.FOLDER, required=True, help="Folder of tables and page; new or empty.")
@click.option("--metric", default="dice", show_default=True, help="Metric to draw, as a column of metrics.csv.")
@click.option("--name", "names", multiple=True, help="Name of an evaluation, once for each, in their order.")
def command(evaluations: tuple[Path, ...], folder: Path, metric: str, names: tuple[str, ...]) -> None:
    """Hold EVALUATIONS, folders that `medseg evaluate` wrote, against the first of them, case by case."""
    from medseg.runs.segmentation.compare import compare_evaluations

    result = compare_evaluations(evaluations, folder, metric=metric, names=names or None)
    console.warn(result.warnings)
    click.echo(result)
    click.echo(f"tables and page in {folder}")


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
