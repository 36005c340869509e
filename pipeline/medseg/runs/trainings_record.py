"""What several trainings in one folder were started with, such as those of all folds, for resuming them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from medseg.atomic import is_leftover, remove_leftovers, write_json
from medseg.configuration import Config, parse_config
from medseg.errors import CheckpointError, ConfigError
from medseg.records import Manifest
from medseg.runs.run_folder import RunFolder
from medseg.runs.settings import TrainingSettings
from medseg.runs.tracking import replacing, resume_tracking, start_tracking
from medseg.tracking import MissingRunError, TrackedRun, without_password


class TrainingsRecord(Config):
    """What several trainings were started with: `folds.json` of all folds, `curve.json` of a learning curve.

    Attributes:
        budget: Wall clock of all trainings together.
        epochs: Epochs of each.
        mlflow_run_id: MLflow run above theirs, if there is one.
        tracking_uri: MLflow store of that run.
        choices: What was asked for beside the length, by name; None where an earlier version did not note it.
    """

    budget: str | None
    epochs: int | None
    mlflow_run_id: str | None
    tracking_uri: str | None
    choices: dict[str, str] | None = None

    def has_other_length(self, settings: TrainingSettings) -> bool:
        """Whether another length is asked for than the trainings began with."""
        asked = (settings.budget, settings.epochs)
        return asked not in {(None, None), (self.budget, self.epochs)}


def earlier_trainings(settings: TrainingSettings, path: Path) -> TrainingsRecord | None:
    """The record of trainings to resume; None if there is nothing to resume yet, as where they were killed early.

    Args:
        settings: Choices; the folder of all trainings is held.
        path: File of the record in that folder.

    Raises:
        CheckpointError: If the folder holds something else, or the record is damaged.
    """
    if not settings.resume:
        return None
    folder = RunFolder(settings.out)
    found = {one for one in folder.path.iterdir() if not is_leftover(one)}
    if found <= {folder.begun, folder.spool}:
        return None
    remove_leftovers(folder.path)
    try:
        return parse_config(TrainingsRecord, json.loads(path.read_text(encoding="utf-8")), source=path.name)
    except (OSError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"trainings in {folder.path}: {path.name} must be readable to resume, got: {error}",
            remedy="start a new training",
        ) from error


def save_trainings(
    path: Path,
    settings: TrainingSettings,
    run: TrackedRun | None,
    choices: Mapping[str, str],
    *,
    earlier: TrainingsRecord | None,
) -> None:
    """Write the record; a resume without tracking keeps the MLflow run that the trainings had.

    Args:
        path: Target file.
        settings: Choices.
        run: MLflow run above those of the trainings.
        choices: What was asked for beside the length, by name.
        earlier: Record of the trainings that are resumed.
    """
    record = TrainingsRecord(
        budget=settings.budget,
        epochs=settings.epochs,
        mlflow_run_id=run.run_id if run else earlier.mlflow_run_id if earlier else None,
        tracking_uri=without_password(run.tracking_uri) if run else earlier.tracking_uri if earlier else None,
        choices=dict(choices),
    )
    write_json(path, record.model_dump(mode="json"))
    RunFolder(settings.out).begun.unlink(missing_ok=True)


def run_above(
    settings: TrainingSettings, manifest: Manifest, record: TrainingsRecord | None, *, stage: str, name: str
) -> TrackedRun | None:
    """The MLflow run above those of the trainings; a new one where the store has lost it, None without tracking.

    Args:
        settings: Choices.
        manifest: Dataset.
        record: Record of the trainings that are resumed.
        stage: Command of the trainings.
        name: Name of a new run.
    """
    tracking, lost = settings.tracking, ""
    if tracking.is_on and record is not None and record.mlflow_run_id and record.tracking_uri:
        tracking = replace(tracking, uri=tracking.uri or record.tracking_uri)
        try:
            return resume_tracking(record.mlflow_run_id, uri=str(tracking.uri))
        except MissingRunError:
            lost = record.mlflow_run_id
    tags, noted_in = {"medseg.fold": settings.fold}, RunFolder(settings.out)
    run = start_tracking(tracking, manifest, stage=stage, name=name, tags=tags, noted_in=noted_in)
    return replacing(lost, run) if lost else run
