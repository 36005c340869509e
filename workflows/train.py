"""medseg train: from a manifest to a trained model, with every number in MLflow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from workflows import options

EPILOG = """\b
Example:
  medseg train data/dataset.json --out run --fold 0 --budget 10m
"""


@click.command("train", epilog=EPILOG)
@click.argument("dataset", type=options.FILE)
@click.option("--out", "folder", type=options.FOLDER, required=True, help="Folder of the run; new or empty.")
@click.option("--fold", default="0", show_default=True, help="Validation fold, or 'all' to train on every case.")
@click.option("--budget", help="Wall clock for everything this command does: 90s, 10m, 2h, 1d.")
@click.option("--epochs", type=click.IntRange(1), help="Length in epochs.  [default: the plan's]")
@click.option("--plan", "plan_path", type=options.FILE, help="A plan.yaml to use instead of planning.")
@click.option("--config", "config_path", type=options.FILE, help="YAML of plan settings to change.")
@click.option("--seed", type=click.IntRange(0), help="Of weights, sampling and augmentation.  [default: the plan's]")
@click.option("--resume", is_flag=True, help="Go on with the run in --out, with its own settings.")
@click.option("--store", type=options.FOLDER, default=Path("medseg_store"), show_default=True, help="Prepared cases.")
@options.data_root
@options.device
@options.workers
@options.tracking
def command(**arguments: Any) -> None:
    """Plan, prepare and train on DATASET, a dataset.json or its folder."""
    started = time.monotonic()
    if arguments["budget"] and arguments["epochs"]:
        raise click.UsageError("--budget and --epochs exclude each other; give one")
    from workflows.run_stages import RunArguments
    from workflows.training_run import train

    train(RunArguments(**arguments), started=started)


if __name__ == "__main__":
    from workflows.cli import run_command

    run_command(command)
