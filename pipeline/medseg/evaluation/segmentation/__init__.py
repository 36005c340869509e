"""From masks to numbers."""

from __future__ import annotations

from medseg.evaluation.segmentation.accuracy import voxel_accuracy
from medseg.evaluation.segmentation.case_metrics import case_metrics
from medseg.evaluation.segmentation.contract import (
    METRICS,
    CaseMetricName,
    EvaluationContract,
    contract_differences,
    load_contract,
    surface_dice_name,
)
from medseg.evaluation.segmentation.evaluate_cases import bound_contract, evaluate_cases, find_mask
from medseg.evaluation.segmentation.hausdorff import hausdorff_95_mm
from medseg.evaluation.segmentation.measure_case import measure_case
from medseg.evaluation.segmentation.metric import Metric
from medseg.evaluation.segmentation.metric_kinds import MetricKind, as_text, kind_of, signed_text
from medseg.evaluation.segmentation.needed_cases import needed_patients
from medseg.evaluation.segmentation.objects import Detection, box_iou, boxes, detect, instances
from medseg.evaluation.segmentation.overlap import overlap_metrics
from medseg.evaluation.segmentation.paired import PairedDifference, compare_pair
from medseg.evaluation.segmentation.ranking import ranked_cases, representative_cases
from medseg.evaluation.segmentation.stored import StoredEvaluation, load_evaluation
from medseg.evaluation.segmentation.subgroups import Subgroup, subgroups
from medseg.evaluation.segmentation.summary import LabelSummary, Summary, scoped_metrics, summarise, volume_metrics
from medseg.evaluation.segmentation.surface_dice import surface_dice
from medseg.evaluation.segmentation.tables import case_columns, write_metrics, write_summary

__all__ = [
    "METRICS",
    "CaseMetricName",
    "Detection",
    "EvaluationContract",
    "LabelSummary",
    "Metric",
    "MetricKind",
    "PairedDifference",
    "StoredEvaluation",
    "Subgroup",
    "Summary",
    "as_text",
    "bound_contract",
    "box_iou",
    "boxes",
    "case_columns",
    "case_metrics",
    "compare_pair",
    "contract_differences",
    "detect",
    "evaluate_cases",
    "find_mask",
    "hausdorff_95_mm",
    "instances",
    "kind_of",
    "load_contract",
    "load_evaluation",
    "measure_case",
    "needed_patients",
    "overlap_metrics",
    "ranked_cases",
    "representative_cases",
    "scoped_metrics",
    "signed_text",
    "subgroups",
    "summarise",
    "surface_dice",
    "surface_dice_name",
    "volume_metrics",
    "voxel_accuracy",
    "write_metrics",
    "write_summary",
]
