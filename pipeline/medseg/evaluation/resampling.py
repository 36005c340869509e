"""Intervals from resampling whole patients, or from leaving each out once if they are few."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.records import Array

SEED = 0
FEW_PATIENTS = 20
FEWEST_PATIENTS = 5
"""With fewer, an interval would say that nearly anything is possible, and there is none."""

_MEAN_RESAMPLES = 2000
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
        Value and Student's t times the jackknife's standard error; NaN ends for fewer than five patients.

    Source: Efron and Tibshirani 1993, chapter 11.
    """
    from scipy.stats import t

    count = len(left_out)
    if count < FEWEST_PATIENTS:
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
        Lower and upper end; NaN for fewer than five patients, or if the share does not exist without one of them.

    Source: Efron and Tibshirani 1993, chapter 11 (jackknife); Clopper and Pearson 1934,
        https://doi.org/10.1093/biomet/26.4.404 (at 0 and 1).
    """
    from scipy.special import expit, logit
    from scipy.stats import t

    count = len(left_out)
    if count < FEWEST_PATIENTS or np.isnan(left_out).any() or np.isnan(value):
        return float("nan"), float("nan")
    if not _EDGE < value < 1 - _EDGE:
        bound = 0.025 ** (1 / count)
        return (bound, 1.0) if value > 0.5 else (0.0, 1 - bound)
    if (left_out < _EDGE).any() or (left_out > 1 - _EDGE).any():  # all but one are perfect: log odds know no bound
        low, high = jackknife_mean_interval(value, left_out)
        return max(low, 0.0), min(high, 1.0)
    places = logit(left_out)
    error = float(np.sqrt((count - 1) / count * ((places - places.mean()) ** 2).sum()))
    reach = float(t.ppf(0.975, count - 1)) * error
    return float(expit(logit(value) - reach)), float(expit(logit(value) + reach))


def grouped_mean_interval(values: Sequence[float], groups: Sequence[str], *, is_share: bool) -> tuple[float, float]:
    """95 % interval of a mean over values that come in groups, such as the cases of patients.

    Whole groups are resampled with replacement 2,000 times, with a fixed seed; with fewer than 20 groups it is the
    interval of `jackknife_interval` or `jackknife_mean_interval`, because resampling few gives too narrow intervals. So
    it is for a share of 0 or 1.

    Args:
        values: Values, without NaN.
        groups: Group of each value.
        is_share: Whether the values lie in [0, 1], which the interval then respects.

    Returns:
        Lower and upper end; NaN for fewer than five groups.
    """
    names = sorted(set(groups))
    if len(names) < FEWEST_PATIENTS:
        return float("nan"), float("nan")
    place = {name: index for index, name in enumerate(names)}
    index = np.array([place[group] for group in groups])
    sums = np.bincount(index, weights=np.array(values), minlength=len(names))
    counts = np.bincount(index, minlength=len(names))
    mean = float(sums.sum() / counts.sum())
    is_edge = is_share and not _EDGE < mean < 1 - _EDGE  # however many they are, resampling would be certain of it
    if len(names) < FEW_PATIENTS or is_edge:
        rest = (sums.sum() - sums) / (counts.sum() - counts)
        few = jackknife_interval if is_share else jackknife_mean_interval
        return few(mean, rest)
    drawn = np.random.default_rng(SEED).integers(len(names), size=(_MEAN_RESAMPLES, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
