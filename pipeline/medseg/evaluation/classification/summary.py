"""From slice scores to one number per class and level, with its uncertainty and the rows that it leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medseg.errors import ConfigError
from medseg.evaluation.classification.class_choice import ClassChoice, score_choice
from medseg.evaluation.classification.class_scores import MEASURES, ClassScores, Measure, score_class, with_interval
from medseg.evaluation.classification.score_table import Level, ScoreTable, stack_scores
from medseg.evaluation.resampling import interval_weights
from medseg.records import Array, SliceScores
from medseg.targets import ClassKind

LEVELS: tuple[Level, ...] = ("slice", "study")
_TRACKED = {
    "auroc": "auroc",
    "average_precision": "average_precision",
    "sensitivity": "sensitivity_at_specificity",
    "brier": "brier",
    "calibration_error": "calibration_error",
}
_WITH_INTERVAL = ("auroc", "average_precision")


@dataclass(frozen=True, slots=True)
class LevelSummary:
    """All classes at one level.

    Attributes:
        level: Level of the rows, `slice` or `study`.
        rows: Number of slices or studies.
        classes: Scores of each class, in order.
        means: Mean of each measure over the classes that have it; resamples in which one of them lacks it are dropped.
        choice: Accuracy and confusion matrix; None for multi-label.
    """

    level: Level
    rows: int
    classes: tuple[ClassScores, ...]
    means: dict[str, Measure]
    choice: ClassChoice | None


@dataclass(frozen=True, slots=True)
class ClassificationSummary:
    """Performance of a slice classifier.

    Attributes:
        kind: Kind of the classes, `multilabel` or `multiclass`.
        classes: Names of the classes, in order.
        specificity: Specificity at which the sensitivities are given.
        resamples: Number of resamples of the patients, for the intervals.
        cases: Number of cases.
        patients: Number of patients.
        slice: Summary with every slice as a row.
        study: Summary with every case as a row.
    """

    kind: ClassKind
    classes: tuple[str, ...]
    specificity: float
    resamples: int
    cases: int
    patients: int
    slice: LevelSummary
    study: LevelSummary

    def __str__(self) -> str:
        """A line per level and class."""
        width = max(len(name) for name in (*self.classes, "mean over classes"))
        lines = []
        for level in (self.slice, self.study):
            for entry in level.classes:
                why = f" ({entry.note})" if entry.note else ""
                lines.append(
                    f"{level.level} {entry.name:>{width}} AUROC {entry.measures['auroc']}, AP "
                    f"{entry.measures['average_precision']}, {entry.positives} of {entry.positives + entry.negatives} "
                    f"positive{why}"
                )
            if level.choice is not None:
                lines.append(f"{level.level} {'top-1 accuracy':>{width}} {level.choice.accuracy}")
        return "\n".join(lines)


def summarise_scores(
    scores: Sequence[SliceScores],
    *,
    classes: Sequence[str],
    kind: ClassKind,
    specificity: float = 0.95,
    resamples: int = 2000,
) -> ClassificationSummary:
    """Measure every class on slices and on studies.

    The sensitivity is measured at the lowest given probability that, as a threshold, reaches the stated specificity on
    the same data; equal probabilities are called together, and if even the highest calls too many negatives, the
    threshold is infinity and the sensitivity 0. The threshold is chosen again in each resample.
    AUROC, average precision and sensitivity of a class with only positives or only negatives are NaN, with a note.
    Intervals draw the patients of all scores with replacement, with the same draws for every class and level.

    Args:
        scores: Scores of each case; without any, all values are NaN.
        classes: Names of the columns.
        kind: `multilabel` if classes may occur together, `multiclass` if each row is of one.
        specificity: Stated specificity, in (0, 1].
        resamples: Number of resamples; fewer than 40 give no intervals. With fewer than 20 patients, each is left out
            once instead.

    Raises:
        ConfigError: If the specificity is out of range.
        GeometryError: If arrays do not fit each other.
        ScanError: If a probability or truth is out of range.

    Source: Efron and Tibshirani 1993, chapter 13 (percentile interval); for clusters Field and Welsh 2007,
        https://doi.org/10.1111/j.1467-9868.2007.00593.x.
    """
    if not 0 < specificity <= 1:
        raise ConfigError(f"specificity must lie in (0, 1], got {specificity}", remedy="choose for example 0.95")
    patients = len({case.patient_id for case in scores})
    weights = interval_weights(patients, resamples)
    by_slice, by_study = (
        _summarise_level(
            stack_scores(scores, classes=classes, level=level),
            weights,
            level=level,
            classes=classes,
            kind=kind,
            specificity=specificity,
        )
        for level in LEVELS
    )
    return ClassificationSummary(
        kind=kind,
        classes=tuple(classes),
        specificity=specificity,
        resamples=resamples,
        cases=len(scores),
        patients=patients,
        slice=by_slice,
        study=by_study,
    )


def flat_metrics(summary: ClassificationSummary) -> dict[str, float]:
    """Flat names for tracking: `slice_auroc/<class>`, `slice_auroc/mean`, `study_brier/<class>` and so on.

    AUROC and average precision come with `slice_auroc_low/<class>` and `…_high`; multi-class adds `slice_accuracy`,
    `slice_top5_accuracy` and `slice_balanced_accuracy`. Values that do not exist are NaN.
    """
    values: dict[str, float] = {}
    for level in (summary.slice, summary.study):
        columns = [(entry.name, entry.measures) for entry in level.classes] + [("mean", level.means)]
        for name, measures in columns:
            for key, tracked in _TRACKED.items():
                values[f"{level.level}_{tracked}/{name}"] = measures[key].value
                if key in _WITH_INTERVAL:
                    values[f"{level.level}_{tracked}_low/{name}"] = measures[key].low
                    values[f"{level.level}_{tracked}_high/{name}"] = measures[key].high
        if level.choice is not None:
            values |= _flat_choice(level.choice, level.level)
    return values


def scoped_scores(summary: ClassificationSummary, scope: str) -> dict[str, float]:
    """The numbers of `flat_metrics` under `<scope>/…`, so that training, validation and test are never mixed.

    Args:
        summary: Summary of the scores.
        scope: What was evaluated, such as `val` or `test`.
    """
    return {f"{scope}/{name}": value for name, value in flat_metrics(summary).items()}


def _flat_choice(choice: ClassChoice, level: Level) -> dict[str, float]:
    values = {
        f"{level}_accuracy": choice.accuracy.value,
        f"{level}_balanced_accuracy": choice.balanced_accuracy.value,
    }
    if choice.top5_accuracy is not None:
        values[f"{level}_top5_accuracy"] = choice.top5_accuracy.value
    return values


def _summarise_level(
    table: ScoreTable, weights: Array, *, level: Level, classes: Sequence[str], kind: ClassKind, specificity: float
) -> LevelSummary:
    scored = [
        score_class(table, index, weights, name=name, specificity=specificity, with_counts=kind == "multilabel")
        for index, name in enumerate(classes)
    ]
    return LevelSummary(
        level=level,
        rows=len(table.truth),
        classes=tuple(entry for entry, _ in scored),
        means={key: _mean_over_classes(scored, key) for key in MEASURES},
        choice=score_choice(table, weights) if kind == "multiclass" else None,
    )


def _mean_over_classes(scored: Sequence[tuple[ClassScores, dict[str, Array]]], key: str) -> Measure:
    there = [(entry, resampled) for entry, resampled in scored if not np.isnan(entry.measures[key].value)]
    if not there:
        return Measure.without_interval(float("nan"), patients=0)
    return with_interval(
        float(np.mean([entry.measures[key].value for entry, _ in there])),
        np.mean([resampled[key] for _, resampled in there], axis=0),
        patients=min(entry.measures[key].patients for entry, _ in there),
    )
