"""medseg prepare: cases brought onto a plan's grid before the training begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import bars, console, options

EPILOG = """\b
Examples; the training finds the cases in the store:
  medseg plan data/dataset.json --budget 10m --out my_plan.yaml
  medseg prepare data/dataset.json --plan my_plan.yaml
  medseg train data/dataset.json --out run --budget 10m --plan my_plan.yaml
"""


@click.command("prepare", epilog=EPILOG)
@click.argument("dataset", type=options.FILE)
@click.option("--plan", type=options.FILE, required=True, help="The plan.yaml that the training will be given.")
@click.option("--store", type=options.FOLDER, default=Path("medseg_store"), show_default=True, help="Prepared cases.")
@options.data_root
@options.workers
@options.cluster
def command(dataset: Path, **choices: Any) -> None:
    """Prepare the training cases of DATASET, those of all folds, as a training by the plan would."""
    from medseg.runs.segmentation.prepare import PrepareSettings, prepare_dataset

    result = prepare_dataset(dataset, PrepareSettings(**choices), progress=bars.Bars())
    click.echo(f"{len(result.case_ids)} case(s) in {result.store}")
    console.report_failures(result.failures)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
