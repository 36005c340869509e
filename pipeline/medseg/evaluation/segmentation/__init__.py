"""From masks to numbers."""

from __future__ import annotations

from medseg.evaluation.segmentation.accuracy import voxel_accuracy
from medseg.evaluation.segmentation.beyond_chance import RULE, JudgedTry, Scores, best_of, judge_tries
from medseg.evaluation.segmentation.case_metrics import case_metrics
from medseg.evaluation.segmentation.contract import (
    METRICS,
    CaseMetricName,
    EvaluationContract,
    contract_differences,
    surface_dice_name,
)
from medseg.evaluation.segmentation.contract_file import load_contract
from medseg.evaluation.segmentation.evaluate_cases import (
    bound_contract,
    evaluate_cases,
    existing_mask,
    find_mask,
)
from medseg.evaluation.segmentation.fold_spread import FoldSpread, fold_spread
from medseg.evaluation.segmentation.hausdorff import hausdorff_95_mm
from medseg.evaluation.segmentation.ignored import ignored_note, ignored_share, ignored_text
from medseg.evaluation.segmentation.inter_rater import InterRater, inter_rater
from medseg.evaluation.segmentation.measure_case import measure_case
from medseg.evaluation.segmentation.metric import Metric
from medseg.evaluation.segmentation.metric_kinds import MetricKind, as_text, kind_of, signed_text
from medseg.evaluation.segmentation.needed_cases import needed_patients
from medseg.evaluation.segmentation.non_inferiority import NonInferiority, non_inferiority
from medseg.evaluation.segmentation.objects import Detection, box_iou, boxes, detect, instances
from medseg.evaluation.segmentation.overlap import overlap_metrics
from medseg.evaluation.segmentation.paired import PairedDifference, compare_pair
from medseg.evaluation.segmentation.ranking import ranked_cases, representative_cases, worst_by_structure
from medseg.evaluation.segmentation.rater_agreement import (
    RATERS_DICE,
    RaterAgreement,
    WithinSpread,
    rater_agreement,
    with_raters_dice,
)
from medseg.evaluation.segmentation.rater_pairs import RaterPair, measure_raters, write_rater_pairs
from medseg.evaluation.segmentation.stored import (
    METRICS_NAME,
    SUMMARY_NAME,
    StoredEvaluation,
    load_evaluation,
    read_metrics,
)
from medseg.evaluation.segmentation.subgroups import Subgroup, subgroups
from medseg.evaluation.segmentation.summary import LabelSummary, Summary, scoped_metrics, summarise, volume_metrics
from medseg.evaluation.segmentation.surface_dice import surface_dice
from medseg.evaluation.segmentation.tables import case_columns, write_metrics, write_summary

__all__ = [
    "METRICS",
    "METRICS_NAME",
    "RATERS_DICE",
    "RULE",
    "SUMMARY_NAME",
    "CaseMetricName",
    "Detection",
    "EvaluationContract",
    "FoldSpread",
    "InterRater",
    "JudgedTry",
    "LabelSummary",
    "Metric",
    "MetricKind",
    "NonInferiority",
    "PairedDifference",
    "RaterAgreement",
    "RaterPair",
    "Scores",
    "StoredEvaluation",
    "Subgroup",
    "Summary",
    "WithinSpread",
    "as_text",
    "best_of",
    "bound_contract",
    "box_iou",
    "boxes",
    "case_columns",
    "case_metrics",
    "compare_pair",
    "contract_differences",
    "detect",
    "evaluate_cases",
    "existing_mask",
    "find_mask",
    "fold_spread",
    "hausdorff_95_mm",
    "ignored_note",
    "ignored_share",
    "ignored_text",
    "instances",
    "inter_rater",
    "judge_tries",
    "kind_of",
    "load_contract",
    "load_evaluation",
    "measure_case",
    "measure_raters",
    "needed_patients",
    "non_inferiority",
    "overlap_metrics",
    "ranked_cases",
    "rater_agreement",
    "read_metrics",
    "representative_cases",
    "scoped_metrics",
    "signed_text",
    "subgroups",
    "summarise",
    "surface_dice",
    "surface_dice_name",
    "volume_metrics",
    "voxel_accuracy",
    "with_raters_dice",
    "worst_by_structure",
    "write_metrics",
    "write_rater_pairs",
    "write_summary",
]
