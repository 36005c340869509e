"""Who hears of a training's numbers as they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from medseg.atomic import write_text
from medseg.tracking import TrackedRun


@dataclass(frozen=True, slots=True)
class Validation:
    """One validation.

    Attributes:
        score: What decides which weights are best; more is better.
        values: Numbers by name, for tracking.
        rows: One record per case and label, or per case: whatever the task measures.
    """

    score: float
    values: dict[str, float]
    rows: Sequence[Any]


class TrainingListener(Protocol):
    """Hears of epochs and validations."""

    def on_epoch(self, epoch: int, values: dict[str, float]) -> None:
        """After every epoch: `train_loss`, `learning_rate`, `epoch_seconds`, `elapsed_seconds`."""

    def on_validation(self, epoch: int, validation: Validation) -> None:
        """After every validation of all validation cases."""


class CurvesListener:
    """Appends every epoch to `curves.csv`.

    Args:
        path: The file; one that exists is continued.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_epoch(self, epoch: int, values: dict[str, float]) -> None:
        """Append a line; lines of an interrupted run from this epoch on give way."""
        lines = [",".join(["epoch", *values])]
        if self.path.exists():
            earlier = self.path.read_text(encoding="utf-8").splitlines()[1:]
            lines += [line for line in earlier if int(line.split(",", 1)[0]) < epoch]
        lines.append(",".join([str(epoch), *(f"{value:.6g}" for value in values.values())]))
        write_text(self.path, "\n".join(lines) + "\n")

    def on_validation(self, epoch: int, validation: Validation) -> None:
        """Nothing: validations have a table of their own."""


class TrackingListener:
    """Sends every number to an MLflow run.

    Args:
        run: The run.
    """

    def __init__(self, run: TrackedRun) -> None:
        self.run = run

    def on_epoch(self, epoch: int, values: dict[str, float]) -> None:
        """Log losses, learning rate and times."""
        self.run.log_metrics(values, step=epoch)

    def on_validation(self, epoch: int, validation: Validation) -> None:
        """Log the validation's numbers."""
        self.run.log_metrics(validation.values, step=epoch)
