"""How well a score separates the masks that failed from the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from medseg.errors import GeometryError
from medseg.evaluation.classification.class_scores import with_interval
from medseg.evaluation.classification.ranked_scores import RankedScores
from medseg.evaluation.resampling import interval_weights


class FailureDetection(NamedTuple):
    """Power of a score to find failed masks.

    Attributes:
        auroc: Probability that a failed mask scores higher than another, ties half; NaN if none or all failed.
        low: Lower end of the 95 % interval over patients; NaN with fewer than five patients that have a failed mask, or
            another one.
        high: Upper end of the interval.
        failed: Number of cases with a Dice below the bound.
        kept: Number of the other cases.
    """

    auroc: float
    low: float
    high: float
    failed: int
    kept: int


def failure_auroc(
    disagreement: Sequence[float],
    dice: Sequence[float],
    bound: float,
    *,
    patients: Sequence[str] | None = None,
    resamples: int = 2000,
) -> FailureDetection:
    """AUROC of a disagreement for a Dice below a bound.

    A case without a Dice (label and mask both empty) or without a disagreement is left out.

    Args:
        disagreement: Disagreement of each case; a higher one suggests a failed mask.
        dice: Dice of each case, in [0, 1].
        bound: Dice below which (not at which) a mask has failed.
        patients: Patient of each case, for the interval; if not given, every case counts as a patient.
        resamples: Number of resamples for the interval.

    Raises:
        GeometryError: If the sequences differ in length.
    """
    owners = [str(number) for number in range(len(dice))] if patients is None else list(patients)
    if not len(disagreement) == len(dice) == len(owners):
        raise GeometryError(
            f"failure detection: disagreement, dice and patients must be of one length, got {len(disagreement)}, "
            f"{len(dice)} and {len(owners)}",
            remedy="give one of each per case",
        )
    values, overlaps = np.asarray(disagreement, np.float64), np.asarray(dice, np.float64)
    is_known = ~(np.isnan(values) | np.isnan(overlaps))
    has_failed = overlaps[is_known] < bound
    names, owned = np.unique(np.asarray(owners, object)[is_known].astype(str), return_inverse=True)
    ranked = RankedScores.of(values[is_known], has_failed.astype(np.int8), owned)
    every = np.ones((1, len(names)), np.int32)
    auroc = float(ranked.measure(every, specificity=1.0)["auroc"][0])
    low = high = float("nan")
    if not np.isnan(auroc):
        resampled = ranked.measure(interval_weights(len(names), resamples), specificity=1.0)["auroc"]
        fewest = min(len(np.unique(owned[has_failed])), len(np.unique(owned[~has_failed])))
        interval = with_interval(auroc, resampled, patients=fewest)
        low, high = interval.low, interval.high
    failed = int(has_failed.sum())
    return FailureDetection(auroc, low, high, failed, len(has_failed) - failed)
