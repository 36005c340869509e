"""Intervals that draw whole patients again."""

from __future__ import annotations

import numpy as np

from pipeline.records import Array

SEED = 0
_FEWEST = 40  # With fewer values no 2.5 % tail holds a value of its own.


def patient_weights(patients: int, resamples: int) -> Array:
    """How often each patient is drawn, int32, shape `(resamples, patients)`; the same at every call."""
    drawn = np.random.default_rng(SEED).integers(max(patients, 1), size=(resamples, patients))
    drawn += np.arange(resamples)[:, np.newaxis] * patients
    counts = np.bincount(drawn.ravel(), minlength=resamples * patients)
    return counts.reshape(resamples, patients).astype(np.int32)


def percentile_interval(values: Array) -> tuple[float, float, int]:
    """Lower and upper end of the 95 % percentile interval, and how many resamples had no value.

    Args:
        values: One per resample, NaN where the quantity does not exist there.

    Returns:
        NaN ends if fewer than 40 values remain.
    """
    there = values[~np.isnan(values)]
    dropped = len(values) - len(there)
    if len(there) < _FEWEST:
        return float("nan"), float("nan"), dropped
    low, high = np.percentile(there, [2.5, 97.5])
    return float(low), float(high), dropped
