"""The threshold for a stated specificity. A class is called where `probability >= threshold`."""

from __future__ import annotations

import numpy as np

from medseg.evaluation.classification.ranked_scores import allowed_alarms
from medseg.records import Array


def threshold_for_specificity(probabilities: Array, truth: Array, specificity: float) -> float:
    """The lowest of the given probabilities that, as a threshold, reaches the stated specificity.

    Equal probabilities are called together or not at all.

    Args:
        probabilities: Probabilities of one class, shape `(N,)`.
        truth: Truth 1, 0 or -1 for unknown (left out), shape `(N,)`.
        specificity: Stated specificity, in (0, 1].

    Returns:
        Threshold; infinity, which calls nothing, if even the highest probability calls too many negatives, and NaN
        without positives or without negatives.
    """
    probabilities, truth = np.asarray(probabilities, np.float64), np.asarray(truth)
    negatives = np.sort(probabilities[truth == 0])
    if not len(negatives) or not (truth == 1).any():
        return float("nan")
    candidates = np.unique(probabilities[truth >= 0])
    alarms = len(negatives) - np.searchsorted(negatives, candidates, side="left")
    allowed = candidates[alarms <= allowed_alarms(np.array(len(negatives)), specificity)]
    return float(allowed[0]) if len(allowed) else float("inf")
