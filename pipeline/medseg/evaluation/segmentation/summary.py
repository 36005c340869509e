"""From per-case metrics to one number per label, with its uncertainty and the cases that it leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medseg.evaluation.resampling import FEW_PATIENTS, jackknife_interval, jackknife_mean_interval
from medseg.evaluation.segmentation.overlap import SHARES
from medseg.records import CaseMetrics

_RESAMPLES = 2000
_SEED = 0
_MEAN = "mean over labels"


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """One metric of one label over all cases.

    Attributes:
        label: Name of the label.
        metric: Name of the metric.
        mean: Mean over cases; NaN without any.
        low: Lower end of the 95 % interval of the mean.
        high: Upper end of the interval.
        cases: Number of cases in the mean.
        both_empty: Number of cases left out because label and mask are both empty.
        one_empty: Number of cases that count 0 because only one of the two is empty.
    """

    label: str
    metric: str
    mean: float
    low: float
    high: float
    cases: int
    both_empty: int
    one_empty: int

    def __str__(self) -> str:
        """Mean, interval and counts in one line."""
        interval = (
            f" (95 % {as_text(self.metric, self.low, 3)} to {as_text(self.metric, self.high, 3)})"
            if self.low == self.low
            else ""
        )
        left_out = f", {self.both_empty} left out as empty" if self.both_empty else ""
        return f"{self.metric:<5} {as_text(self.metric, self.mean, 4)}{interval}, {self.cases} cases{left_out}"


@dataclass(frozen=True, slots=True)
class Summary:
    """All labels and metrics of an evaluation.

    Attributes:
        labels: Summary of each metric of each label.
        means: Mean of each metric over labels.
        cases: Number of evaluated cases.
    """

    labels: tuple[LabelSummary, ...]
    means: dict[str, float]
    cases: int

    def __str__(self) -> str:
        """A line per label and metric, and the means over labels."""
        width = max([len(entry.label) for entry in self.labels] + [len(_MEAN)])
        lines = [f"{entry.label:>{width}} {entry}" for entry in self.labels]
        lines += [f"{_MEAN:>{width}} {metric:<5} {as_text(metric, value, 4)}" for metric, value in self.means.items()]
        return "\n".join(lines)


def as_text(metric: str, value: float, digits: int) -> str:
    """A metric's value with decimals; a length with as many significant digits where decimals would hide it."""
    is_hidden = metric.endswith("_mm") and 0 < abs(value) < 10.0 ** (1 - digits)
    return f"{value:.{digits}g}" if is_hidden else f"{value:.{digits}f}"


def summarise(rows: Sequence[CaseMetrics], *, patients: Mapping[str, str] | None = None) -> Summary:
    """Average per label over cases, then over labels.

    The interval resamples patients (cases, if no patients are given) with replacement 2,000 times, with a fixed seed;
    with fewer than 20 of them it is that of `jackknife_interval` for Dice and IoU, which are shares, and that of
    `jackknife_mean_interval` for other metrics, because resampling few gives too narrow intervals.

    Args:
        rows: Metrics per case and label.
        patients: Patient of each case; if not given, every case counts as a patient.
    """
    labels = list(dict.fromkeys(row.label for row in rows))
    metrics = list(dict.fromkeys(metric for row in rows for metric in row.values))
    entries = tuple(
        _summarise_label([row for row in rows if row.label == label], label, metric, patients or {})
        for label in labels
        for metric in metrics
    )
    means = {metric: _mean([entry.mean for entry in entries if entry.metric == metric]) for metric in metrics}
    return Summary(entries, means, len({row.case_id for row in rows}))


def volume_metrics(summary: Summary) -> dict[str, float]:
    """Flat names for tracking: `volume_<metric>/<label>` and `volume_<metric>/mean`."""
    values = {f"volume_{entry.metric}/{entry.label}": entry.mean for entry in summary.labels}
    return values | {f"volume_{metric}/mean": value for metric, value in summary.means.items()}


def _summarise_label(rows: Sequence[CaseMetrics], label: str, metric: str, patients: Mapping[str, str]) -> LabelSummary:
    counted = [row for row in rows if not np.isnan(row.values[metric])]
    values = [row.values[metric] for row in counted]
    owners = [patients.get(row.case_id, row.case_id) for row in counted]
    low, high = _interval(values, owners, is_share=metric in SHARES)
    return LabelSummary(
        label=label,
        metric=metric,
        mean=_mean(values),
        low=low,
        high=high,
        cases=len(values),
        both_empty=len(rows) - len(values),
        one_empty=sum((row.label_voxels == 0) != (row.mask_voxels == 0) for row in rows),
    )


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _interval(values: Sequence[float], groups: Sequence[str], *, is_share: bool) -> tuple[float, float]:
    """95 % percentile interval of the mean from resampling whole groups; few groups are left out once each instead."""
    names = sorted(set(groups))
    if len(names) < 2:
        return float("nan"), float("nan")
    index = np.array([names.index(group) for group in groups])
    sums = np.bincount(index, weights=np.array(values), minlength=len(names))
    counts = np.bincount(index, minlength=len(names))
    if len(names) < FEW_PATIENTS:
        rest = (sums.sum() - sums) / (counts.sum() - counts)
        few = jackknife_interval if is_share else jackknife_mean_interval
        return few(float(sums.sum() / counts.sum()), rest)
    drawn = np.random.default_rng(_SEED).integers(len(names), size=(_RESAMPLES, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
