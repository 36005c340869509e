"""Points of the budget at which a training is validated and saved."""

from __future__ import annotations

import math

from ignite.engine import Engine

from medseg.training.budget import Budget
from medseg.training.events import TrainingEvents
from medseg.training.ranks import of_first_rank
from medseg.training.state import TrainingState

_VALIDATION_SHARE = 0.08  # of a wall-clock budget, for all validations


def attach_milestones(trainer: Engine, state: TrainingState, budget: Budget, *, validations: int) -> None:
    """Fire `MILESTONE` at the first pause after each of several evenly spaced points of the budget.

    The first point lies half as far from the start as the others from each other, so that something is seen early.

    Args:
        trainer: Engine of the training.
        state: State of the training.
        budget: Steps or wall clock.
        validations: Number of validations, that at the end included.
    """
    trainer.add_event_handler(TrainingEvents.PAUSED, _pass, state, budget, validations)


def _pass(engine: Engine, state: TrainingState, budget: Budget, validations: int) -> None:
    is_over = state.progress >= 1 or engine.should_terminate
    if of_first_rank(not is_over and _is_due(state, budget, validations)):
        engine.fire_event(TrainingEvents.MILESTONE)


def _is_due(state: TrainingState, budget: Budget, validations: int) -> bool:
    """Whether the next validation is due; validations take at most a small share of a wall-clock budget."""
    last = state.last_validation or 0.0
    if validations == 1 or points_passed(state.progress, validations) == points_passed(last, validations):
        return False
    total_s, remaining_s = budget.total_s(), budget.remaining_s()
    if total_s is None or remaining_s is None:
        return True
    validation_s = state.case_s * (state.compared_cases or 0)
    gap = validation_s / (_VALIDATION_SHARE * total_s)
    is_paid_for = gap <= 1 if state.last_validation is None else state.progress - last >= gap
    return is_paid_for and remaining_s >= validation_s * 2


def points_passed(progress: float, validations: int) -> int:
    """Number of points up to a share of the budget, the first at half the distance of the others."""
    return math.floor(progress * (validations - 0.5) + 0.5 + 1e-9)
