"""From slice scores to numbers."""

from __future__ import annotations

from medseg.evaluation.classification.calibration import ReliabilityBins, fit_temperature, reliability_bins
from medseg.evaluation.classification.class_choice import ClassChoice
from medseg.evaluation.classification.class_scores import ClassScores, Measure, TwoByTwo
from medseg.evaluation.classification.curves import precision_recall_curve, roc_curve
from medseg.evaluation.classification.failure_detection import FailureDetection, failure_auroc
from medseg.evaluation.classification.operating_point import threshold_for_specificity
from medseg.evaluation.classification.ranking import (
    RepresentativeSlice,
    RepresentativeSlices,
    rank_studies,
    representative_slices,
    representative_studies,
)
from medseg.evaluation.classification.score_table import Level, ScoreTable, stack_scores
from medseg.evaluation.classification.summary import (
    ClassificationSummary,
    LevelSummary,
    flat_metrics,
    scoped_scores,
    summarise_scores,
)
from medseg.evaluation.classification.tables import (
    slice_columns,
    study_columns,
    write_classification,
    write_slices,
    write_studies,
)

__all__ = [
    "ClassChoice",
    "ClassScores",
    "ClassificationSummary",
    "FailureDetection",
    "Level",
    "LevelSummary",
    "Measure",
    "ReliabilityBins",
    "RepresentativeSlice",
    "RepresentativeSlices",
    "ScoreTable",
    "TwoByTwo",
    "failure_auroc",
    "fit_temperature",
    "flat_metrics",
    "precision_recall_curve",
    "rank_studies",
    "reliability_bins",
    "representative_slices",
    "representative_studies",
    "roc_curve",
    "scoped_scores",
    "slice_columns",
    "stack_scores",
    "study_columns",
    "summarise_scores",
    "threshold_for_specificity",
    "write_classification",
    "write_slices",
    "write_studies",
]
