"""Training: Ignite engines round plain steps, the same for every task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medseg.lazy import lazy_names

if TYPE_CHECKING:
    from medseg.training.augment import AugmentConfig
    from medseg.training.budget import Budget, ClockBudget, StepBudget, parse_duration_s
    from medseg.training.events import TrainingEvents
    from medseg.training.listener import CurvesListener, TrackingListener, TrainingListener
    from medseg.training.state import TrainingState
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "AugmentConfig": "augment",
            "Budget": "budget",
            "ClockBudget": "budget",
            "CurvesListener": "listener",
            "StepBudget": "budget",
            "TrackingListener": "listener",
            "TrainingEvents": "events",
            "TrainingListener": "listener",
            "TrainingState": "state",
            "parse_duration_s": "budget",
        },
    )

__all__ = [
    "AugmentConfig",
    "Budget",
    "ClockBudget",
    "CurvesListener",
    "StepBudget",
    "TrackingListener",
    "TrainingEvents",
    "TrainingListener",
    "TrainingState",
    "parse_duration_s",
]
