"""medseg classify evaluate: measure a slice classifier on labelled cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import bars, console, options

EPILOG = """\b
Example:
  medseg classify evaluate classifier dataset.json --fold 0 --out evaluation
"""


@click.command("evaluate", epilog=EPILOG)
@click.argument("run", type=options.FILE)
@click.argument("dataset", type=options.FILE)
@click.option("--out", "folder", type=options.FOLDER, required=True, help="Folder of the tables; new or empty.")
@click.option("--labels", "table", type=options.FILE, help="CSV file of classes, for a classifier trained on one.")
@click.option("--fold", type=click.IntRange(0), help="Only this fold's validation cases.")
@click.option("--split", type=click.Choice(["training", "test"]), help="Only this split.  [default: all cases]")
@click.option("--specificity", type=click.FloatRange(0.01, 1), default=0.95, show_default=True,
              help="Specificity at which sensitivities are given.")  # fmt: skip
@click.option("--store", type=options.FOLDER, default=Path("medseg_store"), show_default=True, help="Prepared cases.")
@options.data_root
@options.device
@options.workers
@options.tracking
def command(**arguments: Any) -> None:
    """Measure the classifier of RUN on DATASET's cases; every selected case needs a truth."""
    from medseg.runs.classification.evaluate import ScoreSettings, evaluate_classifier

    run, dataset, folder = (arguments.pop(name) for name in ("run", "dataset", "folder"))
    settings = ScoreSettings(out=folder, tracking=options.tracking_of(arguments), **arguments)
    result = evaluate_classifier(run, dataset, settings, progress=bars.Bars())
    console.warn(result.warnings)
    click.echo(result.summary)
    click.echo(f"tables and pictures in {folder}")
    console.report_failures(result.failures)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
