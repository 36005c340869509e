"""Thresholds for a stated sensitivity or specificity. A slice is kept where `probability >= threshold`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.evaluation.classification.ranked_scores import allowed_alarms
from pipeline.records import Array

SENSITIVITIES = (0.5, 0.8, 0.9, 0.95, 0.975, 0.98, 0.99, 0.995, 0.999, 1.0)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What a threshold does on the data that it was chosen on.

    Attributes:
        sensitivity: The stated sensitivity.
        threshold: Highest threshold that reaches it.
        reached: Share of positives kept, at least `sensitivity`.
        specificity: Share of negatives left out; NaN without negatives.
        kept: Share of all known rows kept.
    """

    sensitivity: float
    threshold: float
    reached: float
    specificity: float
    kept: float


def threshold_for_sensitivity(probabilities: Array, truth: Array, sensitivity: float) -> float:
    """The highest threshold that keeps at least that share of the positives.

    Equal probabilities are kept or left together, so that the share may come out higher than stated, never lower.

    Args:
        probabilities: Of one class, shape `(N,)`.
        truth: 1, 0 or -1 for unknown (left out), shape `(N,)`.
        sensitivity: In (0, 1].

    Raises:
        ConfigError: If there is no positive to keep, or the sensitivity is out of range.
    """
    if not 0 < sensitivity <= 1:
        raise ConfigError(f"sensitivity must lie in (0, 1], got {sensitivity}; choose for example 0.98")
    positives = np.sort(np.asarray(probabilities, np.float64)[np.asarray(truth) == 1])[::-1]
    if not len(positives):
        raise ConfigError(
            f"threshold for sensitivity {sensitivity} must be chosen on at least one positive slice, got none of "
            f"{len(truth)}; choose it on cases that show the class"
        )
    needed = max(int(np.ceil(sensitivity * len(positives) - 1e-9)), 1)
    return float(positives[needed - 1])


def threshold_for_specificity(probabilities: Array, truth: Array, specificity: float) -> float:
    """The lowest of the given probabilities whose specificity as a threshold is at least the stated one.

    Equal probabilities are kept or left together. Infinity, which keeps nothing, where even the highest probability
    keeps too many negatives; NaN without positives or without negatives.

    Args:
        probabilities: Of one class, shape `(N,)`.
        truth: 1, 0 or -1 for unknown (left out), shape `(N,)`.
        specificity: In (0, 1].
    """
    probabilities, truth = np.asarray(probabilities, np.float64), np.asarray(truth)
    negatives = np.sort(probabilities[truth == 0])
    if not len(negatives) or not (truth == 1).any():
        return float("nan")
    candidates = np.unique(probabilities[truth >= 0])
    alarms = len(negatives) - np.searchsorted(negatives, candidates, side="left")
    allowed = candidates[alarms <= allowed_alarms(np.array(len(negatives)), specificity)]
    return float(allowed[0]) if len(allowed) else float("inf")


def operating_points(probabilities: Array, truth: Array) -> tuple[OperatingPoint, ...]:
    """What each sensitivity of `SENSITIVITIES` costs, from the lowest to the highest.

    Args:
        probabilities: Of one class, shape `(N,)`.
        truth: 1, 0 or -1 for unknown (left out), shape `(N,)`.

    Raises:
        ConfigError: If there is no positive.
    """
    return tuple(_point(np.asarray(probabilities), np.asarray(truth), sensitivity) for sensitivity in SENSITIVITIES)


def _point(probabilities: Array, truth: Array, sensitivity: float) -> OperatingPoint:
    threshold = threshold_for_sensitivity(probabilities, truth, sensitivity)
    is_kept = probabilities >= threshold
    negatives = truth == 0
    return OperatingPoint(
        sensitivity=sensitivity,
        threshold=threshold,
        reached=float(is_kept[truth == 1].mean()),
        specificity=float((~is_kept[negatives]).mean()) if negatives.any() else float("nan"),
        kept=float(is_kept[truth >= 0].mean()),
    )
