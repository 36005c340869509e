"""The learning rate over the budget."""

from __future__ import annotations

import math

from medseg.training.config import OptimisationConfig


def learning_rate(progress: float, config: OptimisationConfig) -> float:
    """Rate at a share of the budget: a linear rise over the warm-up, then a decay to nothing.

    Args:
        progress: From 0 to 1.
        config: Peak rate, warm-up and shape of the decay.
    """
    if progress < config.warmup:
        return config.learning_rate * max(progress / config.warmup, 1e-2)
    rest = 1.0 - (progress - config.warmup) / (1.0 - config.warmup)
    share = rest**0.9 if config.decay == "polynomial" else 0.5 * (1 - math.cos(math.pi * rest))
    return config.learning_rate * max(share, 1e-4)
