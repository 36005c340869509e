"""`run.json`: what a run was started with, for resuming it."""

from __future__ import annotations

import json
from pathlib import Path

from medseg.atomic import write_json
from medseg.configuration import Config, parse_config
from medseg.errors import CheckpointError, ConfigError

RUN_NAME = "run.json"


class RunRecord(Config):
    """One run of `medseg train`.

    Attributes:
        fold: Validation fold, or `all`.
        seed: As given on the command line.
        budget: As given on the command line.
        epochs: As given on the command line.
        manifest_digest: Of the manifest with its folds.
        plan_digest: Of the plan.
        mlflow_run_id: The MLflow run, if there is one.
        tracking_uri: Its store.
        training: Case ids.
        validation: Case ids.
        labels_digest: SHA-256 of the CSV file of classes, if there is one.
    """

    fold: str
    seed: int | None
    budget: str | None
    epochs: int | None
    manifest_digest: str
    plan_digest: str
    mlflow_run_id: str | None
    tracking_uri: str | None
    training: tuple[str, ...]
    validation: tuple[str, ...]
    labels_digest: str | None = None


def save_run_record(record: RunRecord, folder: Path) -> None:
    """Write `run.json`."""
    write_json(folder / RUN_NAME, record.model_dump(mode="json"))


def load_run_record(folder: Path) -> RunRecord:
    """Read `run.json`.

    Raises:
        CheckpointError: If it is missing or damaged.
    """
    try:
        content = json.loads((folder / RUN_NAME).read_text(encoding="utf-8"))
        return parse_config(RunRecord, content, source=RUN_NAME)
    except (OSError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"run {folder}: {RUN_NAME} must be readable to resume, got: {error}; start anew"
        ) from error
