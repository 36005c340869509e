"""Intervals from resampling whole patients, or from leaving each out once if they are few."""

from __future__ import annotations

import numpy as np

from medseg.records import Array

SEED = 0
FEW_PATIENTS = 20
_FEWEST = 40  # with fewer values, no 2.5 % tail holds a value of its own
_EDGE = 1e-9


def interval_weights(patients: int, resamples: int) -> Array:
    """Count of each patient in each resample, `(rows, patients)`.

    Resampling two or five patients gives intervals that are far too narrow, so with fewer than 20 each patient is left
    out once instead. Without resamples there are no rows.
    """
    if not resamples or patients >= FEW_PATIENTS:
        return patient_weights(patients, resamples)
    return (1 - np.eye(patients)).astype(np.int32)


def patient_weights(patients: int, resamples: int) -> Array:
    """Number of draws of each patient, int32, shape `(resamples, patients)`; the same at every call."""
    drawn = np.random.default_rng(SEED).integers(max(patients, 1), size=(resamples, patients))
    drawn += np.arange(resamples)[:, np.newaxis] * patients
    counts = np.bincount(drawn.ravel(), minlength=resamples * patients)
    return counts.reshape(resamples, patients).astype(np.int32)


def percentile_interval(values: Array) -> tuple[float, float, int]:
    """The 95 % percentile interval.

    Args:
        values: Value in each resample; NaN where the quantity does not exist.

    Returns:
        Lower and upper end, NaN if fewer than 40 values remain, and the number of resamples without a value.
    """
    there = values[~np.isnan(values)]
    dropped = len(values) - len(there)
    if len(there) < _FEWEST:
        return float("nan"), float("nan"), dropped
    low, high = np.percentile(there, [2.5, 97.5])
    return float(low), float(high), dropped


def jackknife_mean_interval(value: float, left_out: Array) -> tuple[float, float]:
    """95 % interval of a quantity that is no share, such as a distance, from its values without each patient.

    Args:
        value: The quantity of all patients.
        left_out: The quantity without each of them, shape `(patients,)`.

    Returns:
        Value and Student's t times the jackknife's standard error; NaN ends for fewer than two patients.

    Source: Efron and Tibshirani 1993, chapter 11.
    """
    from scipy.stats import t

    count = len(left_out)
    if count < 2:
        return float("nan"), float("nan")
    error = float(np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum()))
    reach = float(t.ppf(0.975, count - 1)) * error
    return value - reach, value + reach


def jackknife_interval(value: float, left_out: Array) -> tuple[float, float]:
    """95 % interval of a share in [0, 1] from its values without each patient.

    It has the jackknife's standard error on the scale of log odds, with Student's t of one degree of freedom less than
    there are patients. If the share is 0 or 1, it is the exact interval for as many patients who all failed, or all
    succeeded.

    Args:
        value: Share among all patients.
        left_out: Share without each of the patients, shape `(patients,)`; NaN where it does not exist.

    Returns:
        Lower and upper end; NaN for fewer than two patients, or if the share does not exist without one of them.

    Source: Efron and Tibshirani 1993, chapter 11 (jackknife); Clopper and Pearson 1934,
        https://doi.org/10.1093/biomet/26.4.404 (at 0 and 1).
    """
    from scipy.special import expit, logit
    from scipy.stats import t

    count = len(left_out)
    if count < 2 or np.isnan(left_out).any() or np.isnan(value):
        return float("nan"), float("nan")
    if not _EDGE < value < 1 - _EDGE:
        bound = 0.025 ** (1 / count)
        return (bound, 1.0) if value > 0.5 else (0.0, 1 - bound)
    places = logit(np.clip(left_out, _EDGE, 1 - _EDGE))
    error = float(np.sqrt((count - 1) / count * ((places - places.mean()) ** 2).sum()))
    reach = float(t.ppf(0.975, count - 1)) * error
    return float(expit(logit(value) - reach)), float(expit(logit(value) + reach))
