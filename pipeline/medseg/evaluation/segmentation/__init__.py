"""From masks to numbers."""

from __future__ import annotations

from medseg.evaluation.segmentation.accuracy import voxel_accuracy
from medseg.evaluation.segmentation.evaluate_cases import evaluate_cases, find_mask
from medseg.evaluation.segmentation.hausdorff import hausdorff_95_mm
from medseg.evaluation.segmentation.measure_case import measure_case
from medseg.evaluation.segmentation.metric import Metric
from medseg.evaluation.segmentation.objects import Detection, box_iou, boxes, detect, instances
from medseg.evaluation.segmentation.overlap import overlap_metrics
from medseg.evaluation.segmentation.ranking import representative_cases
from medseg.evaluation.segmentation.summary import LabelSummary, Summary, summarise, volume_metrics
from medseg.evaluation.segmentation.surface_dice import surface_dice
from medseg.evaluation.segmentation.tables import case_columns, write_metrics, write_summary

__all__ = [
    "Detection",
    "LabelSummary",
    "Metric",
    "Summary",
    "box_iou",
    "boxes",
    "case_columns",
    "detect",
    "evaluate_cases",
    "find_mask",
    "hausdorff_95_mm",
    "instances",
    "measure_case",
    "overlap_metrics",
    "representative_cases",
    "summarise",
    "surface_dice",
    "volume_metrics",
    "voxel_accuracy",
    "write_metrics",
    "write_summary",
]
