"""Training: Ignite engines round plain steps, the same for every task."""

from __future__ import annotations

from medseg.training.augment import AugmentConfig
from medseg.training.budget import Budget, ClockBudget, StepBudget, parse_duration_s
from medseg.training.events import TrainingEvents
from medseg.training.listener import CurvesListener, TrackingListener, TrainingListener
from medseg.training.state import TrainingState

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
