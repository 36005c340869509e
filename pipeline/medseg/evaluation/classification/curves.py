"""Points of the ROC and precision-recall curves of one class."""

from __future__ import annotations

import numpy as np

from medseg.records import Array


def roc_curve(probabilities: Array, truth: Array) -> tuple[Array, Array]:
    """False and true positive rate at every distinct threshold, from (0, 0) to (1, 1).

    Args:
        probabilities: Probabilities of one class, shape `(N,)`.
        truth: Truth 1, 0 or -1 for unknown (left out), shape `(N,)`.

    Returns:
        Both rates, shape `(thresholds + 1,)`; empty without positives or without negatives.

    Source: Fawcett 2006, https://doi.org/10.1016/j.patrec.2005.10.010, algorithm 1.
    """
    hits, alarms = _counts(probabilities, truth)
    if not hits[-1] or not alarms[-1]:
        return np.empty(0), np.empty(0)
    return alarms / alarms[-1], hits / hits[-1]


def precision_recall_curve(probabilities: Array, truth: Array) -> tuple[Array, Array]:
    """Recall and precision at every distinct threshold, by rising recall, to be drawn in steps.

    Args:
        probabilities: Probabilities of one class, shape `(N,)`.
        truth: Truth 1, 0 or -1 for unknown (left out), shape `(N,)`.

    Returns:
        Both values, shape `(thresholds,)`; empty without positives or without negatives.
    """
    hits, alarms = _counts(probabilities, truth)
    if not hits[-1] or not alarms[-1]:
        return np.empty(0), np.empty(0)
    return hits[1:] / hits[-1], hits[1:] / (hits[1:] + alarms[1:])


def _counts(probabilities: Array, truth: Array) -> tuple[Array, Array]:
    """Positives and negatives kept at each distinct probability from above, with 0 in front."""
    is_known = np.asarray(truth) >= 0
    probabilities, truth = np.asarray(probabilities, np.float64)[is_known], np.asarray(truth)[is_known]
    order = np.argsort(-probabilities, kind="stable")
    falling = probabilities[order]
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(falling) else np.empty(0, np.intp)
    hits = np.append(0, np.cumsum(truth[order] == 1)[ends])
    return hits, np.append(0, ends + 1) - hits
