"""Ignite engines round plain steps."""

from __future__ import annotations

from medseg.training.augment import AugmentConfig
from medseg.training.budget import Budget, ClockBudget, StepBudget, parse_duration_s
from medseg.training.config import TrainingConfig
from medseg.training.fit import FitInputs, FitResult, fit, steps_per_epoch
from medseg.training.listener import CurvesListener, TrackingListener, TrainingListener

__all__ = [
    "AugmentConfig",
    "Budget",
    "ClockBudget",
    "CurvesListener",
    "FitInputs",
    "FitResult",
    "StepBudget",
    "TrackingListener",
    "TrainingConfig",
    "TrainingListener",
    "fit",
    "parse_duration_s",
    "steps_per_epoch",
]
