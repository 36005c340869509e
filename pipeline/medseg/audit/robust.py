"""Outliers of a cohort by robust statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.records import Array

MIN_CASES = 8
FAR = 6.0
GROUP_SHARE = 0.1
_SIGMA_PER_MAD = 1.4826


def far_cases(values: Sequence[float], *, floor: float) -> list[int]:
    """Indices of values more than `FAR` robust standard deviations from the median.

    Args:
        values: One value per case; with fewer than `MIN_CASES` there are no outliers.
        floor: Smallest standard deviation that is assumed, so that rounding makes no outliers in a cohort of equals.

    Source: Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers (the modified z-score), with a wider bound: a
    cohort of hundreds has honest cases beyond their 3.5.
    """
    if len(values) < MIN_CASES:
        return []
    numbers: Array = np.asarray(values, dtype=np.float64)
    centre = np.median(numbers)
    sigma = max(_SIGMA_PER_MAD * float(np.median(np.abs(numbers - centre))), floor)
    return [int(index) for index in np.flatnonzero(np.abs(numbers - centre) > FAR * sigma)]


def is_group(far: Sequence[int], total: int) -> bool:
    """Whether so many cases are far that they are a second group instead of outliers."""
    return len(far) > max(GROUP_SHARE * total, 1)
