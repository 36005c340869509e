"""The slice classifier's task for the training engine."""

from __future__ import annotations

from medseg.training.slices.calibrate import calibrate
from medseg.training.slices.config import SliceTrainingConfig
from medseg.training.slices.task import ClassificationInputs, ClassificationTask, JudgedCase
from medseg.training.slices.weights import class_weights

__all__ = [
    "ClassificationInputs",
    "ClassificationTask",
    "JudgedCase",
    "SliceTrainingConfig",
    "calibrate",
    "class_weights",
]
