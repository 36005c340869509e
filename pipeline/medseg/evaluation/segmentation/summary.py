"""From per-case metrics to one number per structure, with its uncertainty and the cases that it leaves out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medseg.evaluation.resampling import grouped_mean_interval
from medseg.evaluation.segmentation.metric_kinds import as_text, kind_of
from medseg.records import CaseMetrics

MEAN_NAME = "mean over structures"


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """One metric of one structure over all cases.

    Attributes:
        label: Name of the label or region.
        metric: Name of the metric.
        mean: Mean over cases; NaN without any.
        low: Lower end of the 95 % interval of the mean; NaN with fewer than five patients.
        high: Upper end of the interval.
        cases: Count of cases in the mean.
        patients: Count of patients that they belong to.
        left_out: Count of cases in which the metric is undefined, or left out by the contract.
        both_empty: Count of cases in which label and mask are both empty.
        one_empty: Count of cases in which only one of the two is empty.
    """

    label: str
    metric: str
    mean: float
    low: float
    high: float
    cases: int
    patients: int
    left_out: int
    both_empty: int
    one_empty: int

    def __str__(self) -> str:
        """Mean, interval and counts in one line."""
        left_out = f", {self.left_out} left out" if self.left_out else ""
        kind = kind_of(self.metric)
        value = as_text(self.metric, self.mean, 4) + (f" {kind.unit}" if kind.unit else "")
        return f"{kind.title:<18} {value}{self._interval()}, {self.cases} cases{left_out}"

    def _interval(self) -> str:
        if self.low == self.low:
            ends = [as_text(self.metric, end, 4) for end in (self.low, self.high)]
            return f" (95 % {ends[0]} to {ends[1]})"
        return f" (too few patients for an interval: {self.patients})" if self.cases else ""


@dataclass(frozen=True, slots=True)
class Summary:
    """All structures and metrics of an evaluation.

    Attributes:
        labels: Summary of each metric of each structure.
        means: Mean of each metric over structures.
        cases: Count of evaluated cases.
    """

    labels: tuple[LabelSummary, ...]
    means: dict[str, float]
    cases: int

    def __str__(self) -> str:
        """A line per structure and headline metric, and the means over structures."""
        entries = [entry for entry in self.labels if kind_of(entry.metric).is_headline]
        several = len({entry.label for entry in self.labels}) > 1
        width = max([len(entry.label) for entry in entries] + [len(MEAN_NAME) if several else 0])
        lines = [f"{entry.label:>{width}} {entry}" for entry in entries]
        if several:
            lines += [
                self._mean_line(width, metric, mean)
                for metric, mean in self.means.items()
                if kind_of(metric).is_headline
            ]
        return "\n".join(lines)

    @staticmethod
    def _mean_line(width: int, metric: str, mean: float) -> str:
        kind = kind_of(metric)
        return f"{MEAN_NAME:>{width}} {kind.title:<18} {as_text(metric, mean, 4)} {kind.unit}".rstrip()


def summarise(rows: Sequence[CaseMetrics], *, patients: Mapping[str, str] | None = None) -> Summary:
    """Average per label over cases, then over labels.

    The interval is that of `grouped_mean_interval` over patients (cases, if no patients are given).

    Args:
        rows: Metrics per case and label.
        patients: Patient of each case; if not given, every case counts as a patient.
    """
    by_label: dict[str, list[CaseMetrics]] = defaultdict(list)
    for row in rows:
        by_label[row.label].append(row)
    metrics = list(dict.fromkeys(metric for row in rows for metric in row.values))
    entries = tuple(
        _summarise_label(own, label, metric, patients or {})
        for label, own in by_label.items()
        for metric in metrics
        if any(metric in row.values for row in own)
    )
    means = {metric: _mean([entry.mean for entry in entries if entry.metric == metric]) for metric in metrics}
    return Summary(entries, means, len({row.case_id for row in rows}))


def volume_metrics(summary: Summary) -> dict[str, float]:
    """Flat names for tracking: `volume_<metric>/<structure>` and `volume_<metric>/mean`."""
    values = {f"volume_{entry.metric}/{entry.label}": entry.mean for entry in summary.labels}
    return values | {f"volume_{metric}/mean": value for metric, value in summary.means.items()}


def scoped_metrics(summary: Summary, scope: str) -> dict[str, float]:
    """Flat names for the tracking of an evaluation: `<scope>/<metric>/<structure>` and `<scope>/<metric>/mean`.

    Args:
        summary: Summary of the evaluation.
        scope: What was evaluated, such as `val` or `test`.
    """
    values = {f"{scope}/{entry.metric}/{entry.label}": entry.mean for entry in summary.labels}
    return values | {f"{scope}/{metric}/mean": value for metric, value in summary.means.items()}


def _summarise_label(rows: Sequence[CaseMetrics], label: str, metric: str, patients: Mapping[str, str]) -> LabelSummary:
    counted = [row for row in rows if not np.isnan(row.values.get(metric, np.nan))]
    values = [row.values[metric] for row in counted]
    owners = [patients.get(row.case_id, row.case_id) for row in counted]
    low, high = grouped_mean_interval(values, owners, is_share=kind_of(metric).is_share)
    return LabelSummary(
        label=label,
        metric=metric,
        mean=_mean(values),
        low=max(low, 0.0) if kind_of(metric).is_distance else low,
        high=high,
        cases=len(values),
        patients=len(set(owners)),
        left_out=len(rows) - len(values),
        both_empty=sum(row.label_voxels == 0 == row.mask_voxels for row in rows),
        one_empty=sum((row.label_voxels == 0) != (row.mask_voxels == 0) for row in rows),
    )


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
