"""Two evaluations of the same cases held against each other, case by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from medseg.evaluation.resampling import grouped_mean_interval
from medseg.evaluation.segmentation.metric_kinds import kind_of, signed_text
from medseg.records import Array, CaseMetrics

_FEWEST_TESTED = 6  # the least p of five is 0.0625
_CHANCE = {
    "first": "worse beyond chance",
    "second": "better beyond chance",
    "different": "different beyond chance",
    "equal": "equal in every case",
    "neither": "may be chance",
}


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """One metric of one structure in both evaluations, over the cases in which both have it.

    Attributes:
        structure: Name of the label or region.
        metric: Name of the metric.
        first: Mean of the first evaluation.
        second: Mean of the second.
        difference: Second minus first.
        low: Lower end of the 95 % interval of the difference, from resampling patients; NaN with fewer than five.
        high: Upper end.
        p_value: Two-sided p of Wilcoxon's signed-rank test on the patients' mean differences; NaN with fewer than six.
        corrected_p: The same after Holm's correction over the structures of this metric.
        cases: Count of cases.
        patients: Count of patients.
        second_better: Count of cases in which the second is better.
        first_better: Count of cases in which the first is better; in the rest they are equal.
        undefined_in_one: Count of cases that do not enter because the metric is undefined in one of the evaluations, as
            where one of them rightly draws nothing and the other draws something.
    """

    structure: str
    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    corrected_p: float
    cases: int
    patients: int
    second_better: int
    first_better: int
    undefined_in_one: int

    @property
    def verdict(self) -> str:
        """Which evaluation is better beyond chance: `first`, `second`, or `neither`; `unknown` with few patients.

        A metric without a good direction, such as a signed difference of volumes, is at most `different`; evaluations
        that do not differ in any case are `equal`.
        """
        if self.corrected_p != self.corrected_p:
            return "unknown"
        if self.p_value == 1.0 and self.difference == self.low == self.high == 0:
            return "equal"
        if self.corrected_p >= 0.05 or not (self.low > 0 or self.high < 0):
            return "neither"
        good = kind_of(self.metric).direction
        return "different" if good == 0 else "second" if self.difference * good > 0 else "first"

    def __str__(self) -> str:
        """The difference, its interval and whether it is beyond chance."""
        change = signed_text(self.metric, self.difference)
        if self.verdict == "unknown":
            return f"{change}, too few patients to tell it from chance ({self.patients})"
        interval = f"95 % {signed_text(self.metric, self.low)} to {signed_text(self.metric, self.high)}"
        p_value = f"p = {self.corrected_p:.3f}" if self.corrected_p >= 0.001 else "p < 0.001"
        return f"{change} ({interval}), {p_value}: {_CHANCE[self.verdict]}"


def compare_pair(
    first: Sequence[CaseMetrics], second: Sequence[CaseMetrics], *, patients: Mapping[str, str]
) -> list[PairedDifference]:
    """Hold two evaluations against each other, metric by metric and structure by structure.

    Cases that only one of them has, or in which a metric is undefined in one, do not enter. The correction is over the
    structures of a metric: choose the metric before looking.

    Args:
        first: Metrics per case and structure of the first evaluation.
        second: Those of the second.
        patients: Patient of each case; a case without one counts as a patient.

    Returns:
        An entry per metric that both have and structure, in the first evaluation's order.

    Source: Wilcoxon 1945, https://doi.org/10.2307/3001968; Holm 1979, https://www.jstor.org/stable/4615733.
    """
    others = {(row.case_id, row.label): row for row in second}
    pairs = [(row, others[row.case_id, row.label]) for row in first if (row.case_id, row.label) in others]
    known = {metric for _, row in pairs for metric in row.values}
    metrics = [metric for metric in dict.fromkeys(m for row, _ in pairs for m in row.values) if metric in known]
    structures = dict.fromkeys(row.label for row, _ in pairs)
    entries = []
    for metric in metrics:
        found = [_difference(pairs, structure, metric, patients) for structure in structures]
        entries += _corrected([entry for entry in found if entry is not None])
    return entries


def _difference(
    pairs: Sequence[tuple[CaseMetrics, CaseMetrics]], structure: str, metric: str, patients: Mapping[str, str]
) -> PairedDifference | None:
    values = [
        (row.case_id, row.values[metric], other.values[metric])
        for row, other in pairs
        if row.label == structure and metric in row.values and metric in other.values
    ]
    undefined = sum((one == one) != (two == two) for _, one, two in values)
    values = [(case_id, one, two) for case_id, one, two in values if one == one and two == two]
    if not values:
        return None
    owners = [patients.get(case_id, case_id) for case_id, _, _ in values]
    one, two = (np.array([value[n] for value in values]) for n in (1, 2))
    change = two - one
    low, high = grouped_mean_interval(change.tolist(), owners, is_share=False)
    good = change * kind_of(metric).direction
    return PairedDifference(
        structure=structure,
        metric=metric,
        first=float(one.mean()),
        second=float(two.mean()),
        difference=float(change.mean()),
        low=low,
        high=high,
        p_value=_signed_rank(_by_patient(change, owners)),
        corrected_p=float("nan"),
        cases=len(values),
        patients=len(set(owners)),
        second_better=int((good > 0).sum()),
        first_better=int((good < 0).sum()),
        undefined_in_one=undefined,
    )


def _by_patient(change: Array, owners: Sequence[str]) -> Array:
    """Mean difference of each patient."""
    ordered = sorted(zip(owners, change.tolist(), strict=True))
    return np.array([np.mean([value for _, value in group]) for _, group in groupby(ordered, key=lambda pair: pair[0])])


def _signed_rank(change: Array) -> float:
    """P of the signed-rank test; 1 where nothing differs, NaN with fewer than six patients, of whom none can tell."""
    from scipy.stats import wilcoxon

    if len(change) < _FEWEST_TESTED:
        return float("nan")
    if not change.any():
        return 1.0
    return float(wilcoxon(change).pvalue)


def _corrected(entries: list[PairedDifference]) -> list[PairedDifference]:
    """The entries with Holm's correction over them."""
    tested = sorted((entry.p_value, index) for index, entry in enumerate(entries) if entry.p_value == entry.p_value)
    corrected, largest = dict[int, float](), 0.0
    for rank, (p_value, index) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * p_value))
        corrected[index] = largest
    return [replace(entry, corrected_p=corrected.get(index, float("nan"))) for index, entry in enumerate(entries)]
