"""medseg train: from a manifest to a trained model, with every number in MLflow."""

from __future__ import annotations

import time
from typing import Any

import click
from medseg.workflows import options

EPILOG = """\b
Example:
  medseg train data/dataset.json --out run --fold 0 --budget 10m
"""


@click.command("train", epilog=EPILOG)
@click.argument("dataset", type=options.FILE)
@options.training
def command(**arguments: Any) -> None:
    """Plan, prepare and train on DATASET, a dataset.json or its folder."""
    started = time.monotonic()
    if arguments["budget"] and arguments["epochs"]:
        raise click.UsageError("--budget and --epochs exclude each other; give one")
    from medseg.workflows.run_stages import RunArguments
    from medseg.workflows.training_run import train

    train(RunArguments(**arguments), started=started)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
