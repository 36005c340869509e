"""medseg classify predict: a list of studies, the most probable first, with their key slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import bars, console, options

EPILOG = """\b
Examples:
  medseg classify predict classifier dataset.json --split test --out triage
  medseg classify predict classifier scan.nii.gz more_scans/ --out triage
  medseg classify predict classifier studies/ --pseudonyms private.csv --out triage
"""


@click.command("predict", epilog=EPILOG)
@click.argument("run", type=options.FILE)
@click.argument("inputs", type=options.FOLDER, nargs=-1, required=True)
@click.option("--out", "folder", type=options.FOLDER, required=True, help="Folder of the list; new or empty.")
@click.option("--fold", type=click.IntRange(0), help="Only this fold's validation cases of a manifest.")
@click.option("--split", type=click.Choice(["training", "test"]), help="Only this split of a manifest.")
@options.studies
@click.option("--weights", type=click.Choice(["last", "best"]), default="last", show_default=True,
              help="Weights at the end, or at the best validation (which flatters that validation set).")  # fmt: skip
@options.data_root
@options.device
def command(run: Path, inputs: tuple[Path, ...], folder: Path, **choices: Any) -> None:
    """Classify the slices of INPUTS with RUN: a manifest, or files and folders of scans, DICOM among them."""
    from medseg.runs.classification.predict import TriageSettings, triage_run

    result = triage_run(run, inputs, TriageSettings(out=folder, **choices), progress=bars.Bars())
    click.echo(f"{len(result.studies)} studies ranked in {result.page}, tables beside it")
    console.report_failures(result.failures)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
