"""Flags of masks without a reference, by what the model's card knows of its training."""

from __future__ import annotations

from medseg.inference.segmentation.quality.calibration import ConfidenceCalibration
from medseg.inference.segmentation.quality.checker import CaseCheck, Quality, QualityChecker
from medseg.inference.segmentation.quality.collect_statistics import collect_statistics
from medseg.inference.segmentation.quality.confidence_meter import ConfidenceMeter
from medseg.inference.segmentation.quality.members_confidence import MemberConfidence, MembersConfidence
from medseg.inference.segmentation.quality.statistics import TrainingStatistics
from medseg.inference.segmentation.quality.statistics_of_many import statistics_of_many
from medseg.inference.segmentation.quality.unchecked import unchecked_of

__all__ = [
    "CaseCheck",
    "ConfidenceCalibration",
    "ConfidenceMeter",
    "MemberConfidence",
    "MembersConfidence",
    "Quality",
    "QualityChecker",
    "TrainingStatistics",
    "collect_statistics",
    "statistics_of_many",
    "unchecked_of",
]
