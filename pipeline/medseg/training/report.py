"""The numbers of every epoch."""

from __future__ import annotations

import math

import torch
from ignite.engine import Engine, Events

from medseg.errors import TrainingError
from medseg.training.budget import Budget
from medseg.training.events import TrainingEvents
from medseg.training.state import TrainingState
from medseg.training.stopwatch import Stopwatch


def attach_report(trainer: Engine, state: TrainingState, budget: Budget) -> None:
    """Measure every epoch, and fire `EPOCH_REPORTED` when its numbers are in `trainer.state.metrics`.

    The numbers are `train_loss` (the mean over the epoch's steps), `learning_rate`, `epoch_seconds` and
    `elapsed_seconds`. The last epoch is reported too if the budget ends within it. A loss that is not finite ends the
    run with a TrainingError.
    """
    clock = Stopwatch()
    trainer.add_event_handler(Events.EPOCH_STARTED, clock.restart)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, _record, state)
    trainer.add_event_handler(Events.EPOCH_COMPLETED | Events.TERMINATE, _report, state, budget, clock)


def _record(engine: Engine, state: TrainingState) -> None:
    state.losses.append(engine.state.output)


def _report(engine: Engine, state: TrainingState, budget: Budget, clock: Stopwatch) -> None:
    if not state.losses:
        return
    loss = float(torch.stack(state.losses).mean())
    if not math.isfinite(loss):
        raise TrainingError(
            f"training loss must be finite, got {loss} in epoch {state.epoch}", remedy="lower learning_rate in the plan"
        )
    engine.state.metrics = {
        "train_loss": loss,
        "learning_rate": state.optimiser.param_groups[0]["lr"],
        "epoch_seconds": clock.seconds(),
        "elapsed_seconds": budget.elapsed_s(),
    }
    engine.fire_event(TrainingEvents.EPOCH_REPORTED)
    state.losses.clear()
