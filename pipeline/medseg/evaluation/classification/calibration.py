"""Calibration: how well probabilities agree with frequencies, and the temperature that corrects them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medseg.records import Array
from medseg.targets import ClassKind

BINS = 15
COLDEST, HOTTEST = 0.1, 100.0


@dataclass(frozen=True, slots=True, eq=False)
class ReliabilityBins:
    """Stated against observed frequency in bins of equal width.

    Attributes:
        edges: Edges of the bins from 0 to 1, shape `(bins + 1,)`.
        counts: Rows in each bin, shape `(bins,)`.
        stated: Mean probability in each bin; NaN in an empty one, shape `(bins,)`.
        observed: Share of positives in each bin; NaN in an empty one, shape `(bins,)`.
        error: Expected calibration error; NaN without rows.
    """

    edges: Array
    counts: Array
    stated: Array
    observed: Array
    error: float


def bin_of(probabilities: Array, bins: int = BINS) -> Array:
    """Index of the bin among `[0, 1/bins), …, [1 - 1/bins, 1]` that each probability falls into."""
    return np.asarray(np.minimum((probabilities * bins).astype(np.intp), bins - 1))


def reliability_bins(probabilities: Array, truth: Array, *, bins: int = BINS) -> ReliabilityBins:
    """Bins of equal width over the probability of one class, and their calibration error.

    The error is the mean over rows of the difference between a bin's mean probability and its share of positives.

    Args:
        probabilities: Probabilities of one class, in [0, 1], shape `(N,)`.
        truth: Truth 1, 0 or -1 for unknown (left out), shape `(N,)`.
        bins: Number of bins.

    Source: Naeini et al. 2015, https://doi.org/10.1609/aaai.v29i1.9602; 15 bins as Guo et al. 2017,
        https://arxiv.org/abs/1706.04599, eq. 3, here for the probability of each class instead of the highest one.
    """
    is_known = np.asarray(truth) >= 0
    probabilities, truth = np.asarray(probabilities, np.float64)[is_known], np.asarray(truth)[is_known]
    place = bin_of(probabilities, bins)
    counts = np.bincount(place, minlength=bins)
    stated = np.bincount(place, weights=probabilities, minlength=bins)
    observed = np.bincount(place, weights=truth, minlength=bins)
    error = float(np.abs(stated - observed).sum() / len(truth)) if len(truth) else float("nan")
    with np.errstate(invalid="ignore"):
        return ReliabilityBins(np.linspace(0, 1, bins + 1), counts, stated / counts, observed / counts, error)


def fit_temperature(logits: Array, truth: Array, *, kind: ClassKind) -> float:
    """The temperature that makes the truth most likely under `logits / temperature`, to be fitted on validation cases.

    The likelihood has a single optimum in the temperature, which is searched for from 0.1 to 100. If all rows are right
    (separable data, or only one class), the optimum lies at zero and the result is 0.1; if the logits are worse than
    none, it is 100. If no temperature is more likely than another (no known truth, all logits equal, or all rows right
    beyond the precision of floating point), it is 1.

    Args:
        logits: Logits of the classes, shape `(N, classes)`.
        truth: Truth 1, 0 or -1 for unknown, shape `(N, classes)`. Multi-label leaves out unknown entries, multi-class
            the rows without exactly one class.
        kind: `multilabel` where each class has a probability of its own, `multiclass` where they share 1.

    Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599, section 4.2.
    """
    from scipy.optimize import minimize_scalar

    logits, truth = np.asarray(logits, np.float64), np.asarray(truth)
    margins = (_margins_of_each if kind == "multilabel" else _margins_of_one)(logits, truth)
    if not margins.size:
        return 1.0

    def cost(log_temperature: float) -> float:
        return float(np.logaddexp.reduce(margins / np.exp(log_temperature), axis=1).mean())

    bounds = (float(np.log(COLDEST)), float(np.log(HOTTEST)))
    found = float(minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x)
    best = min((0.0, *bounds, found), key=lambda place: (round(cost(place), 12), place != 0.0))
    return min(max(float(np.exp(best)), COLDEST), HOTTEST)


def _margins_of_each(logits: Array, truth: Array) -> Array:
    """Rows, each with the log-sum-exp that is the negative log likelihood of a multi-label entry, `(entries, 2)`."""
    is_known = truth >= 0
    against = np.where(truth == 1, -logits, logits)[is_known]
    return np.stack([np.zeros_like(against), against], axis=1)


def _margins_of_one(logits: Array, truth: Array) -> Array:
    """The same for multi-class rows: logit of every class minus that of the true class, shape `(rows, classes)`."""
    is_decided = (truth == 1).sum(axis=1) == 1
    rows = logits[is_decided]
    true = rows[truth[is_decided] == 1]
    return np.asarray(rows - true[:, np.newaxis])
