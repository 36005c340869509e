"""What every training can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from medseg.errors import ConfigError
from medseg.runs.machine import DeviceName
from medseg.runs.tracking import Tracking
from medseg.training import parse_duration_s

ALL_FOLDS = "all-folds"
"""Value of `fold` for a training of every fold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """Choices of a training.

    Attributes:
        out: Folder of the run, new or empty; with `resume` that of the earlier run.
        fold: Validation fold, `all` to train on every case, or `all-folds` to train every fold in turn.
        budget: Wall clock for the whole work, such as `90s`, `10m`, `2h`; excludes `epochs`.
        epochs: Length in epochs; the plan's if neither is given.
        plan: File of a plan to use instead of planning.
        changes: Sections and keys of the plan to change, as in a YAML file of settings.
        changes_name: Name under which the plan's reasons mention the changes.
        cases: Ids of the training cases to learn from; all of the fold's if not given.
        seed: Seed of weights, sampling and augmentation; the plan's if not given.
        resume: Whether to continue the run in `out`, with its own settings.
        store: Folder of prepared cases.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        device: Device that trains.
        initial: Weights to begin with: a run of a segmentation training, its model folder, or a file of weights in it.
        update: Finished run that learns new and corrected cases of the dataset beside its own; excludes `initial` and
            `plan`, which are the run's.
        workers: Threads that read scans; one per core, at most 16, if not given.
        parallel: Number of folds that are trained at once, each in a process of its own.
        tracking: MLflow store.
    """

    out: Path
    fold: str = "0"
    budget: str | None = None
    epochs: int | None = None
    plan: Path | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    changes_name: str = "settings"
    cases: tuple[str, ...] | None = None
    seed: int | None = None
    resume: bool = False
    store: Path = Path("medseg_store")
    data_root: Path | None = None
    device: DeviceName = "auto"
    initial: Path | None = None
    update: Path | None = None
    workers: int | None = None
    parallel: int = 1
    tracking: Tracking = field(default_factory=Tracking)

    def __post_init__(self) -> None:
        if self.budget is not None and self.epochs is not None:
            raise ConfigError("budget and epochs exclude each other", remedy="give one")
        if self.budget is not None:
            parse_duration_s(self.budget)
        for name, count in (("epochs", self.epochs), ("workers", self.workers), ("parallel", self.parallel)):
            if count is not None and (not isinstance(count, int) or count < 1):
                raise ConfigError(f"{name} must be a whole number of at least 1, got {count!r}")
        if self.device not in get_args(DeviceName):
            raise ConfigError(f"device must be one of {', '.join(get_args(DeviceName))}, got {self.device!r}")
        if self.fold not in {"all", ALL_FOLDS} and not (self.fold.isascii() and self.fold.isdigit()):
            raise ConfigError(f"fold must be a number, 'all' or '{ALL_FOLDS}', got {self.fold!r}")
        if self.parallel > 1 and self.fold != ALL_FOLDS:
            raise ConfigError(
                f"parallel is for a training of all folds, got fold {self.fold}", remedy="give the fold all-folds"
            )
