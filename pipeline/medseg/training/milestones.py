"""Points of the budget at which a training is validated and saved."""

from __future__ import annotations

from ignite.engine import Engine, Events

from medseg.training.budget import Budget
from medseg.training.events import TrainingEvents
from medseg.training.ranks import of_first_rank
from medseg.training.state import TrainingState

_VALIDATION_SHARE = 0.08  # of a wall-clock budget, for all validations


def attach_milestones(trainer: Engine, state: TrainingState, budget: Budget, *, validations: int) -> None:
    """Fire `MILESTONE` at the first end of an epoch after each of several evenly spaced points of the budget.

    Args:
        trainer: Engine of the training.
        state: State of the training.
        budget: Steps or wall clock.
        validations: Number of validations, that at the end included.
    """
    trainer.add_event_handler(Events.EPOCH_COMPLETED, _pass, state, budget, validations)


def _pass(engine: Engine, state: TrainingState, budget: Budget, validations: int) -> None:
    if state.progress < 1 and of_first_rank(_is_due(state, budget, validations)):
        engine.fire_event(TrainingEvents.MILESTONE)


def _is_due(state: TrainingState, budget: Budget, validations: int) -> bool:
    """Whether the next validation is due; validations take at most a small share of a wall-clock budget."""
    gap = 1 / validations
    remaining_s = budget.remaining_s()
    if remaining_s is not None and state.validation_s > 0:
        total_s = budget.elapsed_s() + remaining_s
        gap = max(gap, state.validation_s / (_VALIDATION_SHARE * total_s))
        if remaining_s < state.validation_s * 2:
            return False
    return state.progress - state.last_validation >= gap - 1e-9
