"""Numbers out of slice scores."""

from __future__ import annotations

from pipeline.evaluation.classification.calibration import ReliabilityBins, fit_temperature, reliability_bins
from pipeline.evaluation.classification.class_choice import ClassChoice
from pipeline.evaluation.classification.class_scores import ClassScores, Measure, TwoByTwo
from pipeline.evaluation.classification.curves import precision_recall_curve, roc_curve
from pipeline.evaluation.classification.failure_detection import FailureDetection, failure_auroc
from pipeline.evaluation.classification.operating_point import (
    threshold_for_specificity,
)
from pipeline.evaluation.classification.ranking import (
    TellingSlice,
    TellingSlices,
    rank_studies,
    telling_slices,
    telling_studies,
)
from pipeline.evaluation.classification.score_table import Kind, Level, ScoreTable, stack_scores
from pipeline.evaluation.classification.summary import (
    ClassificationSummary,
    LevelSummary,
    flat_metrics,
    summarise_scores,
)
from pipeline.evaluation.classification.tables import (
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
    "Kind",
    "Level",
    "LevelSummary",
    "Measure",
    "ReliabilityBins",
    "ScoreTable",
    "TellingSlice",
    "TellingSlices",
    "TwoByTwo",
    "failure_auroc",
    "fit_temperature",
    "flat_metrics",
    "precision_recall_curve",
    "rank_studies",
    "reliability_bins",
    "roc_curve",
    "slice_columns",
    "stack_scores",
    "study_columns",
    "summarise_scores",
    "telling_slices",
    "telling_studies",
    "threshold_for_specificity",
    "write_classification",
    "write_slices",
    "write_studies",
]
