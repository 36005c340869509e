"""The threshold for a stated specificity. A class is called where `probability >= threshold`."""

from __future__ import annotations

import numpy as np

from medseg.evaluation.classification.ranked_scores import allowed_alarms
from medseg.records import Array


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
