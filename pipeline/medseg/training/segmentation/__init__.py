"""Train a segmentation network: patches, loss, step and validation."""

from __future__ import annotations

from medseg.training.segmentation.config import TrainingConfig
from medseg.training.segmentation.parts import SegmentationParts
from medseg.training.segmentation.task import FitResult, SegmentationInputs, fit, steps_per_epoch

__all__ = [
    "FitResult",
    "SegmentationInputs",
    "SegmentationParts",
    "TrainingConfig",
    "fit",
    "steps_per_epoch",
]
