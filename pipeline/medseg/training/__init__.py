"""Ignite engines round plain steps: what every training has."""

from __future__ import annotations

from medseg.training.augment import AugmentConfig
from medseg.training.budget import Budget, ClockBudget, StepBudget, parse_duration_s
from medseg.training.listener import CurvesListener, TrackingListener, TrainingListener

__all__ = [
    "AugmentConfig",
    "Budget",
    "ClockBudget",
    "CurvesListener",
    "StepBudget",
    "TrackingListener",
    "TrainingListener",
    "parse_duration_s",
]
