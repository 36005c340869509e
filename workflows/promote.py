"""medseg promote: put the model of an evaluation into use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import console, options

EPILOG = """\b
Examples:
  medseg promote evaluation --alias clinical
  medseg promote new_evaluation --alias clinical --against evaluation
"""


@click.command("promote", epilog=EPILOG)
@click.argument("evaluation", type=options.FILE)
@click.option("--alias", default="candidate", show_default=True, help="Name of its use, such as candidate or clinical.")
@click.option(
    "--against",
    type=options.FILE,
    help="Evaluation of the model that has the alias now, on the same cases and under the same contract.",
)
@click.option("--metric", default="dice", show_default=True, help="Metric that must not be lost.")
@click.option("--margin", default=0.01, show_default=True, help="Loss of the metric that is accepted, in its unit.")
@click.option("--name", help="Name of the registered model.  [default: the dataset's]")
@click.option("--tracking-uri", help="MLflow store.  [default: MLFLOW_TRACKING_URI, else mlflow.db in this folder]")
def command(evaluation: Path, **choices: Any) -> None:
    """Register the model of EVALUATION, a folder that `medseg evaluate` wrote, and let an alias name it.

    A model that takes another's place must be shown to be no worse: for every structure, the whole 95 % interval of the
    paired difference must lie above a loss of --margin.
    """
    from medseg.runs.segmentation.promote import PromoteSettings, promote_model

    done = promote_model(evaluation, PromoteSettings(**choices))
    console.warn(done.warnings)
    click.echo(done)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
