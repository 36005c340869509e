"""The folder of a training: the one place that knows what its files are called."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from medseg.atomic import check_writable, is_leftover, remove_leftovers, write_json
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
        choices: What was asked for beside the length, by name; None where an earlier version did not note it.
        differs_from_default: The same as one line, for people; None likewise.
        is_described: Whether the MLflow run has parameters and datasets; None likewise.
        is_finished: Whether everything is delivered, and the MLflow run closed; None likewise.
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
    choices: dict[str, str] | None = None
    differs_from_default: str | None = None
    is_described: bool | None = None
    is_finished: bool | None = None


class StartRecord(Config):
    """What a training notes before it has anything else: `begun.json`, which its record replaces.

    Attributes:
        start_id: Id under which the MLflow run is asked for, so that one killed on the way finds it again.
    """

    start_id: str


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
    def curve(self) -> Path:
        """What a learning curve was started with, in the folder above those of its trainings: `curve.json`."""
        return self.path / "curve.json"

    @property
    def spool(self) -> Path:
        """Numbers that the MLflow store does not have yet, `tracking.jsonl`."""
        return spool_of(self.path)

    @property
    def record(self) -> Path:
        """What the training was started with: `run.json`."""
        return self.path / "run.json"

    @property
    def begun(self) -> Path:
        """Under which id the MLflow run was asked for, before there is a record: `begun.json`."""
        return self.path / "begun.json"

    @property
    def is_before_record(self) -> bool:
        """Whether the folder is missing, or holds nothing but what a run writes before its record."""
        if not self.path.exists():
            return True
        if not self.path.is_dir():
            return False
        early = {self.begun, self.plan, self.model, self.initialisation, self.spool, *self._of_cases}
        found = [path for path in self.path.iterdir() if not is_leftover(path)]
        cards = [path for path in self.model.iterdir() if not is_leftover(path)] if self.model.is_dir() else []
        return set(found) <= early and all(card.suffix == ".json" for card in cards)

    @property
    def _of_cases(self) -> tuple[Path, ...]:
        return self.cases, self.update, self.before

    def remove_start(self) -> None:
        """Remove what a run that has no record was told of its cases and weights, which may be told otherwise now."""
        for path in (self.initialisation, *self._of_cases):
            path.unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove what a killed process left half-written; to be called while the folder is held."""
        for place in (self.path, *(path for path in self.path.rglob("*") if path.is_dir() and not is_leftover(path))):
            if place.is_dir():
                remove_leftovers(place)

    def start_id(self, new: str) -> str:
        """The id under which an MLflow run is asked for: that of a start that was killed, else a new one, noted here.

        Args:
            new: The new one.
        """
        try:
            content = json.loads(self.begun.read_text(encoding="utf-8"))
            return parse_config(StartRecord, content, source=self.begun.name).start_id
        except (OSError, ValueError, ConfigError):
            write_json(self.begun, StartRecord(start_id=new).model_dump(mode="json"))
            return new

    def forget_start(self) -> None:
        """Leave nothing of a start that came to no record."""
        if not any(record.is_file() for record in (self.record, self.folds, self.curve)):
            self.begun.unlink(missing_ok=True)

    def save_record(self, record: RunRecord) -> None:
        """Write `run.json`, in place of what was noted before."""
        write_json(self.record, record.model_dump(mode="json"))
        self.begun.unlink(missing_ok=True)

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
