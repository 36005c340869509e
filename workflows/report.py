"""medseg report: a page about a run, to hand round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import console, options

EPILOG = """\b
Example:
  medseg report run --evaluation evaluation --dataset dataset --out report --pdf
"""


@click.command("report", epilog=EPILOG)
@click.argument("run", type=options.FILE)
@click.option("--evaluation", "evaluations", multiple=True, type=options.FILE, help="Folder of an evaluation; repeat.")
@click.option("--dataset", type=options.FILE, help="Dataset of the run: adds patients, sites, scanners and licence.")
@click.option("--out", "folder", type=options.FOLDER, required=True, help="Folder of the report; new or empty.")
@click.option("--pdf", "with_pdf", is_flag=True, help="Write report.pdf, too; needs the package weasyprint.")
@options.data_root
@click.option(
    "--tracking-uri", help="MLflow store that shows the report with its run.  [default: that of the training]"
)
@click.option("--no-tracking", is_flag=True, help="Do not show the report in MLflow.")
def command(run: Path, folder: Path, **arguments: Any) -> None:
    """Write what RUN, the folder of a training, holds as one page: data, plan, curves, results, limits, model card."""
    from medseg.runs.report import report_run

    done = report_run(run, folder, tracking=options.tracking_of(arguments), **arguments)
    console.warn(done.warnings)
    for sentence in done.missing:
        click.echo(f"missing: {sentence}")
    for path in done.files:
        click.echo(path)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
