"""Ignite engines round plain steps."""

from __future__ import annotations

from pipeline.training.augment import AugmentConfig
from pipeline.training.budget import Budget, ClockBudget, StepBudget, parse_duration_s
from pipeline.training.config import TrainingConfig
from pipeline.training.fit import FitInputs, FitResult, fit, steps_per_epoch
from pipeline.training.listener import CurvesListener, TrackingListener, TrainingListener

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
