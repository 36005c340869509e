"""Scores of one class at one level: five measures with intervals, counts, and the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from medseg.evaluation.classification.calibration import BINS, bin_of
from medseg.evaluation.classification.operating_point import threshold_for_specificity
from medseg.evaluation.classification.ranked_scores import RankedScores
from medseg.evaluation.classification.score_table import ScoreTable
from medseg.evaluation.resampling import FEW_PATIENTS, FEWEST_PATIENTS, jackknife_interval, percentile_interval
from medseg.records import Array

_OF_ANY_ROWS = ("brier", "calibration_error")
"""Measures that exist without a row that lacks the class."""

MEASURES = ("auroc", "average_precision", "sensitivity", "brier", "calibration_error")


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with its 95 % interval.

    Attributes:
        value: Value on all cases; NaN where it does not exist.
        low: Lower end of the interval; NaN with fewer than five `patients` or fewer than 40 resamples left.
        high: Upper end of the interval.
        dropped: Number of resamples in which it did not exist, for example because no positive was drawn.
        patients: Number of patients that it rests on: those who show the class, or those with rows that do not, if they
            are fewer and the measure needs them.
    """

    value: float
    low: float
    high: float
    dropped: int
    patients: int

    @classmethod
    def without_interval(cls, value: float, *, patients: int) -> Self:
        """A value of too few patients, or one that does not exist."""
        return cls(value, float("nan"), float("nan"), 0, patients)

    def __str__(self) -> str:
        """Value and interval, or words where there is none."""
        if self.value != self.value:
            return "none"
        if self.low == self.low:
            return f"{self.value:.4f} ({self.low:.3f} to {self.high:.3f})"
        few = f"too few patients for an interval: {self.patients}"
        return f"{self.value:.4f} ({few if self.patients < FEWEST_PATIENTS else 'no interval'})"


@dataclass(frozen=True, slots=True)
class TwoByTwo:
    """Counts at a threshold; `probability >= threshold` is called positive."""

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


@dataclass(frozen=True, slots=True)
class ClassScores:
    """How well one class is recognised at one level.

    Attributes:
        name: Name of the class.
        measures: `auroc`, `average_precision`, `sensitivity` (at the stated specificity), `brier` and
            `calibration_error` by name.
        threshold: Lowest given probability that reaches the stated specificity; infinity if none does.
        positives: Number of rows that show the class.
        negatives: Number of rows that do not.
        unknown: Number of rows of unknown truth, which no measure counts.
        patients: Number of patients with at least one known row.
        prevalence: Share of positives among known rows; NaN without any.
        note: `only positives`, `only negatives`, `no known truth`, or empty where every measure exists.
        at_half: Counts at the threshold 0.5; None for multi-class.
        at_specificity: Counts at `threshold`; None for multi-class, or where there is no threshold.
    """

    name: str
    measures: dict[str, Measure]
    threshold: float
    positives: int
    negatives: int
    unknown: int
    patients: int
    prevalence: float
    note: str
    at_half: TwoByTwo | None
    at_specificity: TwoByTwo | None


def score_class(
    table: ScoreTable, index: int, weights: Array, *, name: str, specificity: float, with_counts: bool
) -> tuple[ClassScores, dict[str, Array]]:
    """Score one class.

    Args:
        table: Scores of all rows.
        index: Column of the class.
        weights: Count of each patient in each resample, shape `(resamples, patients)`.
        name: Name of the class.
        specificity: Specificity at which to measure the sensitivity.
        with_counts: Whether to count the 2×2 tables.

    Returns:
        Scores, and each measure in every resample, shape `(resamples,)`.
    """
    probabilities, truth, owners = table.known(index)
    every = np.ones((1, len(table.patients)), np.int32)
    points, resampled = (_measure(probabilities, truth, owners, w, specificity=specificity) for w in (every, weights))
    patients = len(np.unique(owners))
    threshold = threshold_for_specificity(probabilities, truth, specificity)
    has_threshold = with_counts and not np.isnan(threshold)
    positives = int(truth.sum())
    with_class, without_class = (len(np.unique(owners[truth == value])) for value in (1, 0))
    needed = {key: with_class if key in _OF_ANY_ROWS else min(with_class, without_class) for key in MEASURES}
    scores = ClassScores(
        name=name,
        measures={key: with_interval(float(points[key][0]), resampled[key], patients=needed[key]) for key in MEASURES},
        threshold=threshold,
        positives=positives,
        negatives=len(truth) - positives,
        unknown=len(table.truth) - len(truth),
        patients=patients,
        prevalence=positives / len(truth) if len(truth) else float("nan"),
        note=_note(positives, len(truth)),
        at_half=count_outcomes(probabilities, truth, 0.5) if with_counts else None,
        at_specificity=count_outcomes(probabilities, truth, threshold) if has_threshold else None,
    )
    return scores, resampled


def with_interval(value: float, resampled: Array, *, patients: int) -> Measure:
    """A share with the interval of its resamples; no interval for fewer than five patients or a value of NaN.

    A value of 0 or 1 has the exact interval of as many patients, since every resample repeats it and tells nothing.

    Args:
        value: Share in [0, 1].
        resampled: Its value in each resample, shape `(resamples,)`.
        patients: Number of patients that it rests on.
    """
    if patients < FEWEST_PATIENTS or np.isnan(value) or not len(resampled):
        return Measure.without_interval(value, patients=patients)
    if value in (0.0, 1.0):
        ends = jackknife_interval(value, np.full(patients, value))
        return Measure(value, *ends, int(np.isnan(resampled).sum()), patients)
    if len(resampled) < FEW_PATIENTS:
        return Measure(value, *jackknife_interval(value, resampled), int(np.isnan(resampled).sum()), patients)
    return Measure(value, *percentile_interval(resampled), patients)


def count_outcomes(probabilities: Array, truth: Array, threshold: float) -> TwoByTwo:
    """Right and wrong calls of known rows at a threshold."""
    is_called, is_there = probabilities >= threshold, truth == 1
    return TwoByTwo(
        threshold=threshold,
        true_positives=int((is_called & is_there).sum()),
        false_positives=int((is_called & ~is_there).sum()),
        false_negatives=int((~is_called & is_there).sum()),
        true_negatives=int((~is_called & ~is_there).sum()),
    )


def _note(positives: int, known: int) -> str:
    if not known:
        return "no known truth"
    return {0: "only negatives", known: "only positives"}.get(positives, "")


def _measure(
    probabilities: Array, truth: Array, owners: Array, weights: Array, *, specificity: float
) -> dict[str, Array]:
    ranked = RankedScores.of(probabilities, truth, owners).measure(weights, specificity=specificity)
    patients = weights.shape[1]
    known = weights @ np.bincount(owners, minlength=patients).astype(float)  # (resamples,)
    squares = weights @ np.bincount(owners, weights=(probabilities - truth) ** 2, minlength=patients)
    gaps = np.bincount(owners * BINS + bin_of(probabilities), weights=probabilities - truth, minlength=patients * BINS)
    errors = np.abs(weights @ gaps.reshape(patients, BINS)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return ranked | {"brier": squares / known, "calibration_error": errors / known}
