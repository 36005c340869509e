"""The numbers of every stretch of a training."""

from __future__ import annotations

import math

import torch
from ignite.engine import Engine, Events

from medseg.errors import TrainingError
from medseg.training.budget import Budget
from medseg.training.events import TrainingEvents
from medseg.training.ranks import of_first_rank
from medseg.training.state import TrainingState
from medseg.training.stopwatch import Stopwatch

_GAP = 1 / 40  # of the budget, after which a long epoch is reported before its end
_FEWEST_STEPS = 3  # of a report within an epoch


class Reporter:
    """Measures a training from report to report.

    Args:
        state: State of the training, which holds the losses since the last report.
        budget: Budget of the training.
    """

    def __init__(self, state: TrainingState, budget: Budget) -> None:
        self._state = state
        self._budget = budget
        self._clock = Stopwatch()

    def begin(self) -> None:
        """Begin an epoch."""
        self._clock.restart()

    def record(self, engine: Engine) -> None:
        """Keep the loss of a step."""
        self._state.losses.append(engine.state.output)

    def close(self, engine: Engine) -> None:
        """Report the last steps of an epoch."""
        self._report(engine)
        engine.fire_event(TrainingEvents.PAUSED)

    def close_early(self, engine: Engine) -> None:
        """Report within an epoch that takes long."""
        state = self._state
        is_last = state.step % state.steps_per_epoch == 0 or engine.should_terminate
        is_long = state.progress - state.reported >= _GAP - 1e-9
        if of_first_rank(not is_last and len(state.losses) >= _FEWEST_STEPS and is_long):
            self.close(engine)

    def _report(self, engine: Engine) -> None:
        state = self._state
        if not state.losses:
            return
        loss = float(torch.stack(state.losses).mean())
        if not math.isfinite(loss):
            raise TrainingError(
                f"training loss must be finite, got {loss} before step {state.step + 1}",
                remedy="lower learning_rate in the plan",
            )
        engine.state.metrics = {
            "epoch": state.step / state.steps_per_epoch,
            "train_loss": loss,
            "learning_rate": state.optimiser.param_groups[0]["lr"],
            "steps_per_second": len(state.losses) / max(self._clock.seconds(), 1e-9),
            "elapsed_seconds": self._budget.elapsed_s(),
        }
        engine.fire_event(TrainingEvents.REPORTED)
        state.losses.clear()
        state.reported = state.progress
        self._clock.restart()


def attach_report(trainer: Engine, state: TrainingState, budget: Budget) -> Reporter:
    """Measure every epoch, and fire `REPORTED` when its numbers are in `trainer.state.metrics`.

    The numbers are `epoch` (epochs done, with decimals), `train_loss` (the mean over the steps since the last report),
    `learning_rate`, `steps_per_second` (validations not counted) and `elapsed_seconds`. The last steps are reported too
    if the budget ends within an epoch. A loss that is not finite ends the run with a TrainingError.
    """
    reporter = Reporter(state, budget)
    trainer.add_event_handler(Events.EPOCH_STARTED, reporter.begin)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, reporter.record)
    trainer.add_event_handler(Events.EPOCH_COMPLETED | Events.TERMINATE, reporter.close)
    return reporter


def attach_early_reports(trainer: Engine, reporter: Reporter) -> None:
    """Report an epoch that takes more than a fortieth of the budget after each fortieth, too.

    Attached after the handlers of single steps, so that these have seen the step before its report.
    """
    trainer.add_event_handler(Events.ITERATION_COMPLETED, reporter.close_early)
