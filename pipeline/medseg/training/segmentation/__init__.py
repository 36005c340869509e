"""Train a segmentation network: patches, loss, step and validation."""

from __future__ import annotations

from medseg.training.segmentation.coarse import CoarseStart
from medseg.training.segmentation.config import TrainingConfig
from medseg.training.segmentation.parts import SegmentationParts
from medseg.training.segmentation.task import SegmentationInputs, SegmentationTask, steps_per_epoch

__all__ = [
    "CoarseStart",
    "SegmentationInputs",
    "SegmentationParts",
    "SegmentationTask",
    "TrainingConfig",
    "steps_per_epoch",
]
