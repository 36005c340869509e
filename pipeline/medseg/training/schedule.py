"""The learning rate over the budget."""

from __future__ import annotations

import math

from ignite.engine import Engine, Events

from medseg.training.budget import Budget
from medseg.training.config import OptimisationConfig
from medseg.training.ranks import of_first_rank
from medseg.training.state import TrainingState


def learning_rate(progress: float, config: OptimisationConfig) -> float:
    """Rate at a share of the budget: a linear rise over the warm-up, then a decay to almost 0.

    Args:
        progress: Share of the budget that is used, from 0 to 1.
        config: Peak rate, warm-up and shape of the decay.
    """
    if progress < config.warmup:
        return config.learning_rate * max(progress / config.warmup, 1e-2)
    rest = 1.0 - (progress - config.warmup) / (1.0 - config.warmup)
    share = rest**0.9 if config.decay == "polynomial" else 0.5 * (1 - math.cos(math.pi * rest))
    return config.learning_rate * max(share, 1e-4)


def attach_schedule(trainer: Engine, state: TrainingState, budget: Budget, config: OptimisationConfig) -> None:
    """Set the learning rate before every step."""
    trainer.add_event_handler(Events.ITERATION_STARTED, _set_rate, state, budget, config)


def _set_rate(state: TrainingState, budget: Budget, config: OptimisationConfig) -> None:
    rate = learning_rate(of_first_rank(budget.progress(state.step)), config)
    for group in state.optimiser.param_groups:
        group["lr"] = rate
