"""How long to train: in steps, or in seconds of wall clock."""

from __future__ import annotations

import re
import time
from typing import Protocol

from ignite.engine import Engine, Events

from medseg.errors import ConfigError, TrainingError
from medseg.training.ranks import any_rank, of_first_rank
from medseg.training.state import TrainingState

TAIL_S = 3.0  # seconds for what follows the last validation
_TOLERANCE = 0.05  # of a budget, by which it may be overrun
_LEAST_TOLERANCE_S = 10.0
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Budget(Protocol):
    """Length of a training, in steps or seconds."""

    def progress(self, step: int) -> float:
        """Share of the budget that is used after `step` steps, from 0 to 1."""

    def continue_at(self, progress: float) -> None:
        """Go on from the progress that a resumed run had reached, with the seconds that are left."""

    def keep_back(self, seconds: float) -> None:
        """Reserve seconds for the work after the last step."""

    def elapsed_s(self) -> float:
        """Seconds used so far, resumed runs included."""

    def remaining_s(self) -> float | None:
        """Seconds left for steps; None where steps are counted."""

    def total_s(self) -> float | None:
        """Seconds of the whole budget; None where steps are counted."""


class StepBudget:
    """A fixed number of steps.

    Args:
        steps: Number of steps.
        used_s: Seconds that a resumed run has used already.
    """

    def __init__(self, steps: int, *, used_s: float = 0.0) -> None:
        self.steps = steps
        self._start = time.monotonic() - used_s

    def progress(self, step: int) -> float:
        """Steps done over all steps."""
        return min(1.0, step / self.steps)

    def continue_at(self, progress: float) -> None:
        """No effect: progress is that of the steps."""

    def keep_back(self, seconds: float) -> None:
        """No effect: steps are counted, not seconds."""

    def elapsed_s(self) -> float:
        """Seconds used so far."""
        return time.monotonic() - self._start

    def remaining_s(self) -> None:
        """None: steps are counted."""

    def total_s(self) -> None:
        """None: steps are counted."""


class ClockBudget:
    """Seconds of wall clock, the work before the first and after the last step included.

    Args:
        seconds: Length of the budget.
        started: Value of `time.monotonic()` when the work began.
        used_s: Seconds that a resumed run has used already.
    """

    def __init__(self, seconds: float, *, started: float, used_s: float = 0.0) -> None:
        self.seconds = seconds
        self._start = started - used_s
        self._first_step: float | None = None
        self._begun = 0.0
        self._kept_s = 0.0

    def progress(self, step: int) -> float:
        """Time since the first step over the time that all steps may take; of a resumed run, those that are left."""
        elapsed = self.elapsed_s()
        if self._first_step is None:
            self._first_step = 0.0 if step else elapsed
        usable = self.seconds - self._kept_s - self._first_step
        share = (elapsed - self._first_step) / usable if usable > 0 else 1.0
        return min(1.0, self._begun + (1 - self._begun) * share)

    def continue_at(self, progress: float) -> None:
        """Go on from the progress that a resumed run had reached, with the seconds that are left."""
        self._begun, self._first_step = progress, self.elapsed_s()

    def keep_back(self, seconds: float) -> None:
        """Reserve seconds of the budget, at most half of it, for the work after the last step."""
        self._kept_s = min(seconds, self.seconds / 2)

    def elapsed_s(self) -> float:
        """Seconds used so far."""
        return time.monotonic() - self._start

    def remaining_s(self) -> float:
        """Seconds left for steps."""
        return max(0.0, self.seconds - self._kept_s - self.elapsed_s())

    def total_s(self) -> float:
        """Seconds of the whole budget."""
        return self.seconds


def parse_duration_s(text: str) -> float:
    """Seconds of `90s`, `10m`, `1.5h`, `2d`.

    Raises:
        ConfigError: If the text has no such form.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip().lower())
    if match is None or float(match[1]) == 0:
        raise ConfigError(f"budget must be a positive number with s, m, h or d such as 10m, got {text!r}")
    return float(match[1]) * _UNITS_S[match[2]]


def tolerance_s(total_s: float) -> float:
    """Seconds by which a wall-clock budget may be overrun: 5 % of it, at least 10."""
    return max(_LEAST_TOLERANCE_S, _TOLERANCE * total_s)


def attach_budget(trainer: Engine, state: TrainingState, budget: Budget) -> None:
    """End the run when the budget is used; a run without time for a first step ends with a TrainingError.

    Args:
        trainer: Engine of the training.
        state: State of the training.
        budget: Steps or wall clock.
    """
    trainer.add_event_handler(Events.STARTED, _continue, state, budget)
    trainer.add_event_handler(Events.STARTED, _spend, state, budget)
    trainer.add_event_handler(Events.STARTED, _forget_longer_shares, state)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, _spend, state, budget)
    trainer.add_event_handler(Events.COMPLETED, _check_first_step, state)


def attach_common_end(trainer: Engine) -> None:
    """End the run in all processes where a handler ends it in one; attached after the handlers of the user's."""
    trainer.add_event_handler(Events.ITERATION_COMPLETED | Events.EPOCH_COMPLETED, _end_with_others)


def _end_with_others(engine: Engine) -> None:
    if any_rank(bool(engine.should_terminate)) and not engine.should_terminate:
        engine.terminate()


def _spend(engine: Engine, state: TrainingState, budget: Budget) -> None:
    state.progress = of_first_rank(budget.progress(state.step))
    if state.progress >= 1:
        engine.terminate()


def _continue(state: TrainingState, budget: Budget) -> None:
    if state.step:
        budget.continue_at(state.progress)


def _forget_longer_shares(state: TrainingState) -> None:
    """Bring the shares at which a run was validated and reported within what is used of a budget that is longer now."""
    state.reported = min(state.reported, state.progress)
    if state.last_validation is not None:
        state.last_validation = min(state.last_validation, state.progress)


def _check_first_step(state: TrainingState) -> None:
    if state.step == 0:
        raise TrainingError("budget must leave time for a first step, got none", remedy="give more, or a smaller plan")
