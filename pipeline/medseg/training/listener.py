"""Listeners, which receive the numbers of a training as they come."""

from __future__ import annotations

import math
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
    """Receives the numbers of steps and validations."""

    def on_report(self, step: int, values: dict[str, float]) -> None:
        """Receive `epoch`, `train_loss`, `learning_rate`, `steps_per_second` and `elapsed_seconds`.

        There is a report at the end of every epoch; one that takes long is reported on the way, too.
        """

    def on_validation(self, step: int, validation: Validation) -> None:
        """Receive a validation."""


class CurvesListener:
    """Appends every report to `curves.csv`, and score and forecast of every validation to a table of its own.

    Args:
        path: Target file of the reports; one that exists is continued.
        validations: Target file of the scores, continued likewise; they are not written if it is not given.
    """

    def __init__(self, path: Path, *, validations: Path | None = None) -> None:
        self.path = path
        self.validations = validations

    def on_report(self, step: int, values: dict[str, float]) -> None:
        """Append a line; it replaces the lines that an interrupted run wrote from this step on."""
        _append(self.path, step, values)

    def on_validation(self, step: int, validation: Validation) -> None:
        """Append score and forecast of the end likewise; the cases of the last validation have tables of their own."""
        if self.validations is not None:
            forecast = validation.forecast.score if validation.forecast else None
            low, middle, high = (forecast.low, forecast.middle, forecast.high) if forecast else (math.nan,) * 3
            values = {"forecast": middle, "forecast_low": low, "forecast_high": high}
            _append(self.validations, step, {"score": validation.score, **values})


class TrackingListener:
    """Sends every number to an MLflow run.

    Args:
        run: MLflow run that receives the numbers.
    """

    def __init__(self, run: TrackedRun) -> None:
        self.run = run

    def on_report(self, step: int, values: dict[str, float]) -> None:
        """Log losses, learning rate and times."""
        self.run.log_metrics(values, step=step)

    def on_validation(self, step: int, validation: Validation) -> None:
        """Log the validation's numbers."""
        self.run.log_metrics(validation.values, step=step)


def attach_listeners(
    trainer: Engine,
    evaluator: Engine,
    state: TrainingState,
    *,
    listeners: Sequence[TrainingListener],
    on_step: OnStep,
) -> None:
    """Report every step, stretch and validation; in a distributed training the first process alone reports."""
    if not is_first_rank():
        return
    trainer.add_event_handler(Events.ITERATION_COMPLETED, _report_step, state, on_step)
    for listener in listeners:
        trainer.add_event_handler(TrainingEvents.REPORTED, _report_stretch, state, listener)
        evaluator.add_event_handler(Events.COMPLETED, _report_validation, state, listener)


def _report_step(engine: Engine, state: TrainingState, on_step: OnStep) -> None:
    loss = engine.state.output
    on_step(state.progress, float(loss) if loss.device.type == "cpu" else float("nan"))


def _report_stretch(engine: Engine, state: TrainingState, listener: TrainingListener) -> None:
    listener.on_report(state.step, dict(engine.state.metrics))


def _report_validation(state: TrainingState, listener: TrainingListener) -> None:
    if state.last is not None:
        listener.on_validation(state.step, state.last)


def _append(path: Path, step: int, values: dict[str, float]) -> None:
    """Add the line of a step to a table, in place of the lines from this step on."""
    lines = [",".join(["step", *values])]
    if path.exists():
        earlier = path.read_text(encoding="utf-8").splitlines()[1:]
        lines += [line for line in earlier if int(line.split(",", 1)[0]) < step]
    lines.append(",".join([str(step), *(f"{value:.6g}" for value in values.values())]))
    write_text(path, "\n".join(lines) + "\n")
