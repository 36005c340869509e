"""Whether a model is shown to be no worse than another, which is more than not shown to be worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from medseg.evaluation.segmentation.metric_kinds import as_text, kind_of, signed_text
from medseg.evaluation.segmentation.needed_cases import needed_patients
from medseg.evaluation.segmentation.paired import PairedDifference, compare_pair
from medseg.records import CaseMetrics


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """The answer for one structure.

    Attributes:
        difference: Paired difference of new minus old.
        margin: Loss that is accepted, in the metric's unit.
        needed: Patients for which the interval would be as narrow as the margin; None where that cannot be told.
    """

    difference: PairedDifference
    margin: float
    needed: int | None

    @property
    def is_shown(self) -> bool:
        """Whether the whole 95 % interval of the change lies above a loss of the margin, and no case is left out."""
        return self._worst >= -self.margin and not self.difference.undefined_in_one

    @property
    def is_worse(self) -> bool:
        """Whether the whole interval lies below 0, so that more patients would not help."""
        good = kind_of(self.difference.metric).direction
        return (self.difference.high if good > 0 else -self.difference.low) < 0

    @property
    def _worst(self) -> float:
        """End of the interval at which the new one is worst, as a gain; NaN with too few patients."""
        good = kind_of(self.difference.metric).direction
        return self.difference.low if good > 0 else -self.difference.high

    def __str__(self) -> str:
        """The change, its interval, and what would be needed."""
        entry = self.difference
        metric = entry.metric
        margin = f"a loss of {as_text(metric, self.margin, 3)} {kind_of(metric).unit}".rstrip()
        if entry.undefined_in_one:
            return f"{entry.structure}: {entry.undefined_in_one} cases have a number in one evaluation alone"
        if self._worst != self._worst:
            return f"{entry.structure}: {entry.patients} patients are too few to rule out {margin}"
        interval = f"95 % {signed_text(metric, entry.low)} to {signed_text(metric, entry.high)}"
        text = f"{entry.structure}: {signed_text(metric, entry.difference)} ({interval})"
        if self.is_shown:
            return f"{text}, which rules out {margin}"
        enough = f"; about {self.needed} patients could" if self.needed and self.needed > entry.patients else ""
        return f"{text}, which does not rule out {margin}{enough}"


def non_inferiority(
    old: Sequence[CaseMetrics],
    new: Sequence[CaseMetrics],
    *,
    patients: Mapping[str, str],
    margin: float,
    metric: str = "dice",
) -> list[NonInferiority]:
    """Compare each structure of a new model with that of an old one, on the same cases.

    For shares such as Dice, a structure that is absent and rightly not drawn counts as 1, and one that is absent or not
    drawn counts as 0 though the contract leaves it out: inventing or missing it is a loss. For distances, nothing is
    shown where a case has a number in one evaluation alone.

    Args:
        old: Metrics of the model in use.
        new: Metrics of the model that may replace it.
        patients: Patient of each case.
        margin: Loss that is accepted, in the metric's unit, at least 0.
        metric: Metric with a good direction.

    Returns:
        An answer per structure, in their order.

    Raises:
        ValueError: If the margin is below 0, or the metric has no good direction.

    Source: Piaggio et al. 2012, https://doi.org/10.1001/jama.2012.87802 (reporting of non-inferiority trials).
    """
    if margin < 0:
        raise ValueError(f"margin must be at least 0, got {margin}")
    if kind_of(metric).direction == 0:
        raise ValueError(f"metric must have a better side, got {metric}")
    first, second = ([with_absent(row, metric) for row in rows] for rows in (old, new))
    answers = []
    for entry in compare_pair(first, second, patients=patients):
        if entry.metric == metric:
            answers.append(NonInferiority(entry, margin, _needed(entry, first, second, patients, margin)))
    return answers


def with_absent(row: CaseMetrics, metric: str) -> CaseMetrics:
    """The row with one metric alone; a share is 1 where a structure is rightly not drawn, and 0 where one is empty."""
    value = row.values.get(metric, float("nan"))
    if kind_of(metric).is_share and value != value:
        value = 1.0 if row.label_voxels == 0 == row.mask_voxels else 0.0
    return replace(row, values={metric: value})


def _needed(
    entry: PairedDifference,
    first: Sequence[CaseMetrics],
    second: Sequence[CaseMetrics],
    patients: Mapping[str, str],
    margin: float,
) -> int | None:
    """Patients that would show the change at hand to be no loss beyond the margin; None where it is one."""
    room = margin + entry.difference * kind_of(entry.metric).direction
    if not room > 0:
        return None
    before = {row.case_id: row.values[entry.metric] for row in first if row.label == entry.structure}
    changes = [
        (row.values[entry.metric] - before[row.case_id], patients.get(row.case_id, row.case_id))
        for row in second
        if row.label == entry.structure and row.case_id in before
    ]
    known = [(change, owner) for change, owner in changes if change == change]
    return needed_patients([change for change, _ in known], [owner for _, owner in known], half_width=room)
