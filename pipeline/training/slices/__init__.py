"""The slice classifier's task for the training engine."""

from __future__ import annotations

from pipeline.training.slices.calibrate import calibrate
from pipeline.training.slices.config import SliceTrainingConfig
from pipeline.training.slices.task import ClassificationInputs, ClassificationTask, JudgedCase
from pipeline.training.slices.weights import class_weights

__all__ = [
    "ClassificationInputs",
    "ClassificationTask",
    "JudgedCase",
    "SliceTrainingConfig",
    "calibrate",
    "class_weights",
]
