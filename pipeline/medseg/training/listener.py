"""Listeners, which receive the numbers of a training as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from ignite.engine import Engine, Events

from medseg.atomic import write_text
from medseg.tracking import TrackedRun
from medseg.training.events import TrainingEvents
from medseg.training.ranks import is_first_rank
from medseg.training.state import TrainingState
from medseg.training.task import Validation

OnStep = Callable[[float, float], None]


class TrainingListener(Protocol):
    """Receives the numbers of epochs and validations."""

    def on_epoch(self, epoch: int, values: dict[str, float]) -> None:
        """Receive `train_loss`, `learning_rate`, `epoch_seconds` and `elapsed_seconds` of an epoch."""

    def on_validation(self, epoch: int, validation: Validation) -> None:
        """Receive a validation of all validation cases."""


class CurvesListener:
    """Appends every epoch to `curves.csv`.

    Args:
        path: Target file; one that exists is continued.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_epoch(self, epoch: int, values: dict[str, float]) -> None:
        """Append a line; it replaces the lines that an interrupted run wrote from this epoch on."""
        lines = [",".join(["epoch", *values])]
        if self.path.exists():
            earlier = self.path.read_text(encoding="utf-8").splitlines()[1:]
            lines += [line for line in earlier if int(line.split(",", 1)[0]) < epoch]
        lines.append(",".join([str(epoch), *(f"{value:.6g}" for value in values.values())]))
        write_text(self.path, "\n".join(lines) + "\n")

    def on_validation(self, epoch: int, validation: Validation) -> None:
        """No effect: validations have a table of their own."""


class TrackingListener:
    """Sends every number to an MLflow run.

    Args:
        run: MLflow run that receives the numbers.
    """

    def __init__(self, run: TrackedRun) -> None:
        self.run = run

    def on_epoch(self, epoch: int, values: dict[str, float]) -> None:
        """Log losses, learning rate and times."""
        self.run.log_metrics(values, step=epoch)

    def on_validation(self, epoch: int, validation: Validation) -> None:
        """Log the validation's numbers."""
        self.run.log_metrics(validation.values, step=epoch)


def attach_listeners(
    trainer: Engine,
    evaluator: Engine,
    state: TrainingState,
    *,
    listeners: Sequence[TrainingListener],
    on_step: OnStep,
) -> None:
    """Report every step, epoch and validation; in a distributed training the first process alone reports."""
    if not is_first_rank():
        return
    trainer.add_event_handler(Events.ITERATION_COMPLETED, _report_step, state, on_step)
    for listener in listeners:
        trainer.add_event_handler(TrainingEvents.EPOCH_REPORTED, _report_epoch, state, listener)
        evaluator.add_event_handler(Events.COMPLETED, _report_validation, state, listener)


def _report_step(engine: Engine, state: TrainingState, on_step: OnStep) -> None:
    loss = engine.state.output
    on_step(state.progress, float(loss) if loss.device.type == "cpu" else float("nan"))


def _report_epoch(engine: Engine, state: TrainingState, listener: TrainingListener) -> None:
    listener.on_epoch(state.epoch, dict(engine.state.metrics))


def _report_validation(state: TrainingState, listener: TrainingListener) -> None:
    if state.last is not None:
        listener.on_validation(state.epoch, state.last)
