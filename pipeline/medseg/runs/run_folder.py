"""The folder of a training: the one place that knows what its files are called."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from medseg.atomic import check_writable, write_json
from medseg.configuration import Config, parse_config
from medseg.errors import CheckpointError, ConfigError
from medseg.runs.initial_weights import InitialWeights
from medseg.training.checkpoint import CHECKPOINT_NAME


class RunRecord(Config):
    """What a training was started with, for resuming it: `run.json`.

    Attributes:
        fold: Validation fold, or `all`.
        seed: Seed that was asked for.
        budget: Wall clock that was asked for.
        epochs: Epochs that were asked for.
        manifest_digest: SHA-256 of the manifest with its folds.
        plan_digest: SHA-256 of the plan.
        mlflow_run_id: MLflow run, if there is one.
        tracking_uri: MLflow store of that run.
        training: Ids of the training cases.
        validation: Ids of the validation cases.
        labels_digest: SHA-256 of the CSV file of classes, if there is one.
        own_parts: Names of the user's own network, loss and transform, if there are any.
        initial: Weights that the run began with; None for fresh ones.
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
    own_parts: tuple[str, ...] = Field((), exclude_if=lambda names: not names)
    initial: InitialWeights | None = Field(None, exclude_if=lambda weights: weights is None)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of a training's files.

    Args:
        path: The folder itself.
    """

    path: Path

    @property
    def plan(self) -> Path:
        """Every decision: `plan.yaml`."""
        return self.path / "plan.yaml"

    @property
    def model(self) -> Path:
        """Weights and their card: `model/`."""
        return self.path / "model"

    @property
    def checkpoint(self) -> Path:
        """All that a resumed training needs: `checkpoint.safetensors`."""
        return self.path / CHECKPOINT_NAME

    @property
    def initialisation(self) -> Path:
        """What was taken from an earlier run: `initialisation.json`."""
        return self.path / "initialisation.json"

    @property
    def cases(self) -> Path:
        """Digests of the cases, by which a later training knows them again: `cases.json`."""
        return self.path / "cases.json"

    @property
    def update(self) -> Path:
        """What the dataset has that the updated run does not know: `update.json`, of an update alone."""
        return self.path / "update.json"

    @property
    def before(self) -> Path:
        """Validation of the weights that an update begins with: `before.json`."""
        return self.path / "before.json"

    @property
    def curves(self) -> Path:
        """Loss and rate of every epoch: `curves.csv`."""
        return self.path / "curves.csv"

    @property
    def validation_curve(self) -> Path:
        """Score of every validation on the way: `validation_curve.csv`."""
        return self.path / "validation_curve.csv"

    @property
    def overlays(self) -> Path:
        """Pictures of validation cases: `overlays/`."""
        return self.path / "overlays"

    @property
    def validation(self) -> Path:
        """Name without ending of the validation's tables: `validation`."""
        return self.path / "validation"

    @property
    def folds(self) -> Path:
        """What the training of all folds was started with, in the folder above theirs: `folds.json`."""
        return self.path / "folds.json"

    @property
    def spool(self) -> Path:
        """Numbers that the MLflow store does not have yet, `tracking.jsonl`."""
        return spool_of(self.path)

    @property
    def record(self) -> Path:
        """What the training was started with: `run.json`."""
        return self.path / "run.json"

    def save_record(self, record: RunRecord) -> None:
        """Write `run.json`."""
        write_json(self.record, record.model_dump(mode="json"))

    def load_record(self) -> RunRecord:
        """Read `run.json`.

        Raises:
            CheckpointError: If it is missing or damaged.
        """
        try:
            content = json.loads(self.record.read_text(encoding="utf-8"))
            return parse_config(RunRecord, content, source=self.record.name)
        except (OSError, ValueError, ConfigError) as error:
            raise CheckpointError(
                f"run {self.path}: {self.record.name} must be readable to resume, got: {error}",
                remedy="start a new run",
            ) from error


def spool_of(folder: Path) -> Path:
    """File in an output folder that keeps what the MLflow store does not have yet."""
    return folder / "tracking.jsonl"


def check_empty(folder: Path) -> Path:
    """An output folder that is new or empty, and can be written.

    Raises:
        ConfigError: If it holds something.
        DeliveryError: If it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"output folder {folder} must be new or empty", remedy="choose another")
    return check_writable(folder, option="out")
