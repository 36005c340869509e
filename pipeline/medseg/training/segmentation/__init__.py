"""Train a segmentation network: patches, loss, step and validation."""

from __future__ import annotations

from medseg.training.segmentation.config import TrainingConfig
from medseg.training.segmentation.task import FitInputs, FitResult, fit, steps_per_epoch

__all__ = [
    "FitInputs",
    "FitResult",
    "TrainingConfig",
    "fit",
    "steps_per_epoch",
]
