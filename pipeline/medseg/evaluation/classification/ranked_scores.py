"""Sorted scores of one class, which give AUROC, average precision and sensitivity under any weights of the patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from medseg.records import Array

_BLOCK = 2**18  # Values worked on at once: they stay in the processor's cache.


@dataclass(frozen=True, slots=True, eq=False)
class RankedScores:
    """Positives and negatives by falling probability, and how the two interleave.

    A step is a probability that at least one positive has; all rows of one probability are called together.
    Probabilities that only negatives have change none of the three measures: the curve moves sideways there.

    Attributes:
        positives: Patient of each positive, by falling probability, shape `(positives,)`.
        negatives: Patient of each negative, by falling probability, shape `(negatives,)`.
        last: Index of the last positive of each step, shape `(steps,)`.
        above: Number of negatives above each step, shape `(steps,)`.
        until: Number of negatives above or on each step, shape `(steps,)`.
    """

    positives: Array
    negatives: Array
    last: Array
    above: Array
    until: Array

    @classmethod
    def of(cls, probabilities: Array, truth: Array, owners: Array) -> Self:
        """Sort known scores.

        Args:
            probabilities: Probabilities of the class, shape `(N,)`.
            truth: Truth 1 or 0, shape `(N,)`.
            owners: Index of each row's patient, shape `(N,)`.
        """
        order = np.argsort(-probabilities, kind="stable")
        falling, is_positive, owners = -probabilities[order], truth[order] == 1, owners[order]
        steps = falling[is_positive]
        last = np.flatnonzero(np.append(steps[1:] != steps[:-1], True)) if len(steps) else np.empty(0, np.intp)
        return cls(
            positives=owners[is_positive],
            negatives=owners[~is_positive],
            last=last,
            above=np.searchsorted(falling[~is_positive], steps[last], side="left"),
            until=np.searchsorted(falling[~is_positive], steps[last], side="right"),
        )

    def measure(self, weights: Array, *, specificity: float) -> dict[str, Array]:
        """The three measures under each weighting of the patients.

        Args:
            weights: Count of each patient in each resample, whole numbers, shape `(resamples, patients)`.
            specificity: Specificity at which to measure the sensitivity, in (0, 1].

        Returns:
            Values of `auroc`, `average_precision` and `sensitivity`, each of shape `(resamples,)`; NaN where a resample
            has no positives or no negatives.

        Source: Fawcett 2006, https://doi.org/10.1016/j.patrec.2005.10.010, algorithm 3 for ties; average precision as
            the sum of precision over steps of recall, without interpolation.
        """
        block = max(1, _BLOCK // max(len(self.positives) + len(self.negatives), 1))
        parts = [
            self._measure_block(weights[start : start + block], specificity) for start in range(0, len(weights), block)
        ]
        names = ("auroc", "average_precision", "sensitivity")
        return dict(zip(names, np.concatenate([np.empty((3, 0)), *parts], axis=1), strict=True))

    def _measure_block(self, weights: Array, specificity: float) -> Array:
        if not len(self.positives) or not len(self.negatives):
            return np.full((3, len(weights)), np.nan)
        hits = _running_sum(weights, self.positives)[:, self.last + 1]  # (resamples, steps)
        alarms = _running_sum(weights, self.negatives)  # (resamples, negatives + 1)
        positives, negatives = hits[:, -1].astype(float), alarms[:, -1].astype(float)
        until = alarms[:, self.until]
        gained = np.diff(hits, axis=1, prepend=0)
        beaten = (gained * (alarms[:, self.above] + until)).sum(axis=1) / 2
        precision = hits / np.maximum(hits + until, 1)
        kept = (until <= allowed_alarms(negatives, specificity)[:, np.newaxis]).sum(axis=1)
        found = np.where(kept > 0, np.take_along_axis(hits, np.maximum(kept - 1, 0)[:, np.newaxis], axis=1)[:, 0], 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            measures = np.stack(
                [
                    1 - beaten / (positives * negatives),
                    np.einsum("rs,rs->r", gained, precision) / positives,
                    found / positives,
                ]
            )
        return np.where((positives > 0) & (negatives > 0), measures, np.nan)


def allowed_alarms(negatives: Array, specificity: float) -> Array:
    """Most negatives that may be called at a specificity, exact despite decimals that binary numbers cannot hold."""
    return np.floor((1 - specificity) * negatives + 1e-9)


def _running_sum(weights: Array, owners: Array) -> Array:
    """Sums of the weights of the first 0, 1, … rows, shape `(resamples, rows + 1)`."""
    sums = np.zeros((len(weights), len(owners) + 1), np.int64)
    np.cumsum(np.take(weights, owners, axis=1), axis=1, out=sums[:, 1:])
    return sums
