"""Train a slice classifier."""

from __future__ import annotations

from medseg.training.classification.calibrate import calibrate
from medseg.training.classification.config import SliceTrainingConfig
from medseg.training.classification.task import ClassificationInputs, ClassificationTask, ValidatedCase
from medseg.training.classification.weights import class_weights

__all__ = [
    "ClassificationInputs",
    "ClassificationTask",
    "SliceTrainingConfig",
    "ValidatedCase",
    "calibrate",
    "class_weights",
]
