"""Numbers out of masks."""

from __future__ import annotations

from pipeline.evaluation.accuracy import voxel_accuracy
from pipeline.evaluation.evaluate_cases import evaluate_cases, find_mask
from pipeline.evaluation.hausdorff import hausdorff_95_mm
from pipeline.evaluation.objects import Detection, box_iou, boxes, detect, instances
from pipeline.evaluation.overlap import overlap_metrics
from pipeline.evaluation.ranking import telling_cases
from pipeline.evaluation.summary import LabelSummary, Summary, summarise, volume_metrics
from pipeline.evaluation.surface_dice import surface_dice
from pipeline.evaluation.tables import case_columns, write_metrics, write_summary

__all__ = [
    "Detection",
    "LabelSummary",
    "Summary",
    "box_iou",
    "boxes",
    "case_columns",
    "detect",
    "evaluate_cases",
    "find_mask",
    "hausdorff_95_mm",
    "instances",
    "overlap_metrics",
    "summarise",
    "surface_dice",
    "telling_cases",
    "volume_metrics",
    "voxel_accuracy",
    "write_metrics",
    "write_summary",
]
