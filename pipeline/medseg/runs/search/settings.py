"""What a search can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medseg.errors import ConfigError
from medseg.runs.machine import DeviceName
from medseg.runs.search.space import SearchSpace
from medseg.runs.settings import TrainingSettings
from medseg.runs.tracking import Tracking
from medseg.training import parse_duration_s

TRIALS = 20
_SHARE = 0.95  # of the budget, for trainings


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """Choices of a search.

    Attributes:
        out: Folder of the search, which every worker must see; one that holds the search already is joined.
        fold: Validation fold.
        budget: Wall clock of the whole search, in which at least one worker is at work, such as `4h`.
        trials: Number of trials; 20 if neither it nor the length of a trial is given.
        trial_budget: Wall clock of each training; by default the budget's part for each.
        trial_epochs: Length of each training in epochs; excludes `trial_budget`.
        storage: Database of the trials, such as `postgresql://…`; a journal file in the folder if not given.
        space: What the trials may change.
        plan: File of the plan to begin with instead of planning.
        changes: Sections and keys of the plan to change, for all trials alike.
        changes_name: Name under which the plan's reasons mention the changes.
        seed: Seed of the suggestions; trials are trained with the plan's own.
        finalists: Number of the best trials that are trained again, as the plan is, if the budget allows it.
        repeats: Number of other seeds with which they are; one cannot tell what seeds change, and 0 is none.
        store: Folder of prepared cases.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        device: Device that trains.
        workers: Threads that read scans; one per core, at most 16, if not given.
        tracking: MLflow store.
    """

    out: Path
    fold: str = "0"
    budget: str | None = None
    trials: int | None = None
    trial_budget: str | None = None
    trial_epochs: int | None = None
    storage: str | None = None
    space: SearchSpace = field(default_factory=SearchSpace)
    plan: Path | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    changes_name: str = "settings"
    seed: int = 0
    finalists: int = 2
    repeats: int = 2
    store: Path = Path("medseg_store")
    data_root: Path | None = None
    device: DeviceName = "auto"
    workers: int | None = None
    tracking: Tracking = field(default_factory=Tracking)

    def __post_init__(self) -> None:
        if self.budget is None and self.trials is None:
            raise ConfigError("search: needs a budget or a number of trials, got neither", remedy="give one, or both")
        if self.trial_budget is not None and self.trial_epochs is not None:
            raise ConfigError("search: a trial's budget and epochs exclude each other", remedy="give one of them")
        for text in (self.budget, self.trial_budget):
            if text is not None:
                parse_duration_s(text)
        counts = {"trials": (self.trials, 1), "trial_epochs": (self.trial_epochs, 1)}
        for name, (count, least) in (counts | {"finalists": (self.finalists, 1), "repeats": (self.repeats, 0)}).items():
            if count is not None and count < least:
                raise ConfigError(f"search: {name} must be at least {least}, got {count}")
        if not (self.fold.isascii() and self.fold.isdigit()):
            raise ConfigError(
                f"search: fold must be a number, because trials are held against each other on its cases, got "
                f"{self.fold!r}",
                remedy="give one fold",
            )

    @property
    def most_trials(self) -> int | None:
        """Number of trials; None for as many as the budget pays for."""
        has_length = self.trial_budget is not None or self.trial_epochs is not None
        return self.trials or (None if has_length else TRIALS)

    @property
    def trial_length(self) -> str | None:
        """Wall clock of each training; None where epochs are counted."""
        if self.trial_budget is not None or self.trial_epochs is not None or self.budget is None:
            return self.trial_budget
        trainings = (self.trials or TRIALS) + (self.finalists + 1) * self.repeats
        return f"{max(1.0, _SHARE * parse_duration_s(self.budget) / trainings):.1f}s"

    def training(self, out: Path, **changes: Any) -> TrainingSettings:
        """Settings of a training of the search.

        Args:
            out: Folder of its run.
            changes: Further settings.
        """
        given: dict[str, Any] = {
            "out": out,
            "fold": self.fold,
            "budget": self.trial_length,
            "epochs": self.trial_epochs,
            "store": self.store,
            "data_root": self.data_root,
            "device": self.device,
            "workers": self.workers,
            "tracking": self.tracking,
        }
        return TrainingSettings(**(given | changes))
