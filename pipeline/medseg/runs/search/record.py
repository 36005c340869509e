"""What a search was begun with, and where its files are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.atomic import write_json
from medseg.configuration import Config, parse_config
from medseg.errors import CheckpointError, ConfigError
from medseg.runs.search.space import SearchSpace


class SearchRecord(Config):
    """What every worker of a search must agree on: `study.json`.

    Attributes:
        study: Name of the study in the store.
        storage: Database without its password; None for the journal in the folder.
        manifest_digest: SHA-256 of the manifest with its folds.
        plan_digest: SHA-256 of the plan that the trials begin with.
        fold: Validation fold.
        trials: Number of trials; None for as many as the budget pays for.
        budget: Wall clock of the search.
        trial_budget: Wall clock of each training; None where epochs are counted.
        trial_epochs: Length of each training in epochs, if asked for.
        space: What the trials may change.
        asked: SHA-256 of the plan and the changes that were given, which a worker that joins must give, too.
        seed: Seed of the suggestions.
        finalists: Number of the best trials that are trained again.
        repeats: Number of other seeds with which they are.
        mlflow_run_id: MLflow run above those of the trials, if there is one.
        tracking_uri: MLflow store of that run.
    """

    study: str
    storage: str | None
    manifest_digest: str
    plan_digest: str
    fold: str
    trials: int | None
    budget: str | None
    trial_budget: str | None
    trial_epochs: int | None
    space: SearchSpace
    asked: str
    seed: int
    finalists: int
    repeats: int
    mlflow_run_id: str | None
    tracking_uri: str | None


@dataclass(frozen=True, slots=True)
class SearchFolder:
    """Paths of a search's files.

    Args:
        path: The folder itself.
    """

    path: Path

    @property
    def record(self) -> Path:
        """What the search was begun with: `study.json`."""
        return self.path / "study.json"

    @property
    def plan(self) -> Path:
        """The plan that the trials begin with: `plan.yaml`."""
        return self.path / "plan.yaml"

    @property
    def best(self) -> Path:
        """The plan that the search ends with: `best.yaml`."""
        return self.path / "best.yaml"

    @property
    def result(self) -> Path:
        """Every trial and what the search found: `search.json`."""
        return self.path / "search.json"

    @property
    def table(self) -> Path:
        """A line per trial: `trials.csv`."""
        return self.path / "trials.csv"

    @property
    def page(self) -> Path:
        """The same to read: `index.html`."""
        return self.path / "index.html"

    def training(self, name: str) -> Path:
        """Folder of a training."""
        return self.path / name

    def plan_of(self, name: str) -> Path:
        """Plan that a training begins with."""
        return self.path / "plans" / f"{name}.yaml"

    def scores(self, name: str) -> Path:
        """Metrics of a training's validation cases."""
        return self.path / "scores" / f"{name}.csv"

    def lock(self, name: str) -> Path:
        """Lock of a training, or of the search."""
        return self.path / "locks" / f"{name}.lock"

    def end_of(self, name: str) -> Path:
        """How a training with another seed has ended, which the store does not hold."""
        return self.path / "plans" / f"{name}.json"

    def retrained(self) -> set[int]:
        """Numbers of the trials that have ended a training with another seed."""
        return {int(path.name.split("_")[1]) for path in self.end_of("x").parent.glob("trial_*_again_*.json")}

    def save_record(self, record: SearchRecord) -> None:
        """Write `study.json`."""
        write_json(self.record, record.model_dump(mode="json"))

    def load_record(self) -> SearchRecord:
        """Read `study.json`.

        Raises:
            CheckpointError: If it is damaged.
        """
        try:
            content: Any = json.loads(self.record.read_text(encoding="utf-8"))
            return parse_config(SearchRecord, content, source=self.record.name)
        except (OSError, ValueError, ConfigError) as error:
            raise CheckpointError(
                f"search {self.path}: {self.record.name} must be readable to join it, got: {error}",
                remedy="start a new search in another folder",
            ) from error


def trial_name(number: int) -> str:
    """Name of a trial's folder."""
    return f"trial_{number:04d}"


def repeat_name(number: int, repeat: int) -> str:
    """Name of the folder of a trial's training with another seed."""
    return f"{trial_name(number)}_again_{repeat}"
