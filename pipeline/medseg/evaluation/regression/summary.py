"""From the metrics of cases to one number per quantity and structure, with its spread and uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from statistics import fmean, stdev

from medseg.evaluation.regression.metric_kinds import quantity_kind, unit_text
from medseg.evaluation.regression.quantity_row import ALL, QuantityMetrics
from medseg.evaluation.resampling import grouped_mean_interval


@dataclass(frozen=True, slots=True)
class QuantitySummary:
    """One metric of one quantity in one part of all cases.

    Attributes:
        quantity: Name of the quantity.
        scope: `all`, or the name of a structure.
        unit: Unit of the metric's values; empty for plain numbers.
        metric: Name of the metric.
        mean: Mean over cases; NaN without any.
        sd: Standard deviation over cases; NaN with fewer than two.
        low: Lower end of the 95 % interval of the mean; NaN with fewer than five patients.
        high: Upper end of the interval.
        cases: Count of cases in the mean.
        patients: Count of patients that they belong to.
        left_out: Count of cases in which the metric is undefined or infinite, such as in an empty structure.
    """

    quantity: str
    scope: str
    unit: str
    metric: str
    mean: float
    sd: float
    low: float
    high: float
    cases: int
    patients: int
    left_out: int

    @property
    def title(self) -> str:
        """What was measured: `dose`, or `dose in cord`."""
        return title_of(self.quantity, self.scope)

    def __str__(self) -> str:
        """Mean, interval, spread and counts in one line."""
        parts = [f"{quantity_kind(self.metric).title:<16} {shown(self.mean)} {self.unit}".rstrip() + self._interval()]
        if self.sd == self.sd:
            parts.append(f"sd {shown(self.sd)}")
        left_out = [f"{self.left_out} left out"] if self.left_out else []
        return ", ".join([*parts, f"{self.cases} cases", *left_out])

    def _interval(self) -> str:
        if self.low == self.low:
            return f" (95 % {shown(self.low)} to {shown(self.high)})"
        return f" (too few patients for an interval: {self.patients})" if self.cases else ""


@dataclass(frozen=True, slots=True)
class QuantitiesSummary:
    """All quantities, parts and metrics of an evaluation.

    Attributes:
        entries: Summary of each metric of each quantity in each part.
        cases: Count of evaluated cases.
    """

    entries: tuple[QuantitySummary, ...]
    cases: int

    def __str__(self) -> str:
        """A line per quantity, part and headline metric, and one for a part that no case has."""
        lines: dict[str, list[str]] = {}
        for entry in self.entries:
            if quantity_kind(entry.metric).is_headline:
                lines.setdefault(entry.title, []).extend([str(entry)] if entry.cases else [])
        width = max(map(len, lines), default=0)
        return "\n".join(f"{title:>{width}} {line}" for title, own in lines.items() for line in own or ["in no case"])


def summarise_quantities(
    rows: Sequence[QuantityMetrics], *, patients: Mapping[str, str] | None = None
) -> QuantitiesSummary:
    """Average every metric over cases.

    The interval is that of `grouped_mean_interval` over patients (cases, if no patients are given).

    Args:
        rows: Metrics per case, quantity and part.
        patients: Patient of each case; if not given, every case counts as a patient.
    """
    parts: dict[tuple[str, str], list[QuantityMetrics]] = {}
    for row in rows:
        parts.setdefault((row.quantity, row.scope), []).append(row)
    entries = [
        _summarise(of_part, metric, patients or {})
        for of_part in parts.values()
        for metric in dict.fromkeys(metric for row in of_part for metric in row.values)
    ]
    return QuantitiesSummary(tuple(entries), len({row.case_id for row in rows}))


def scoped_quantity_metrics(summary: QuantitiesSummary, scope: str) -> dict[str, float]:
    """Flat names for tracking: `<scope>/<metric>/<quantity>`, and `<scope>/<metric>/<quantity>/<structure>`.

    Args:
        summary: Summary of the evaluation.
        scope: What was evaluated, such as `val` or `test`.
    """
    return {f"{scope}/{_flat(entry)}": entry.mean for entry in summary.entries}


def volume_quantity_metrics(summary: QuantitiesSummary) -> dict[str, float]:
    """Flat names for the tracking of a training: `volume_<metric>/<quantity>`, with the structure after it."""
    return {f"volume_{_flat(entry)}": entry.mean for entry in summary.entries}


def title_of(quantity: str, scope: str) -> str:
    """What a number is of: the quantity, and the structure that it was measured in."""
    return quantity if scope == ALL else f"{quantity} in {scope}"


def shown(value: float, digits: int = 4) -> str:
    """A number in significant digits, without an exponent as long as it is short."""
    return f"{value:.{digits}g}"


def _flat(entry: QuantitySummary) -> str:
    name = f"{entry.metric}/{entry.quantity}"
    return name if entry.scope == ALL else f"{name}/{entry.scope}"


def _summarise(rows: Sequence[QuantityMetrics], metric: str, patients: Mapping[str, str]) -> QuantitySummary:
    counted = [row for row in rows if isfinite(row.values.get(metric, nan))]
    values = [row.values[metric] for row in counted]
    owners = [patients.get(row.case_id, row.case_id) for row in counted]
    kind = quantity_kind(metric)
    low, high = grouped_mean_interval(values, owners, is_share=kind.is_share)
    return QuantitySummary(
        quantity=rows[0].quantity,
        scope=rows[0].scope,
        unit=unit_text(metric, rows[0].unit),
        metric=metric,
        mean=fmean(values) if values else nan,
        sd=stdev(values) if len(values) > 1 else nan,
        low=max(low, 0.0) if kind.is_error else low,
        high=high,
        cases=len(values),
        patients=len(set(owners)),
        left_out=len(rows) - len(values),
    )
