"""How far a metric spreads over patients, and between the folds of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from medseg.evaluation.segmentation.metric_kinds import as_text, kind_of
from medseg.records import CaseMetrics

Group = TypeVar("Group", int, str)
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class FoldSpread:
    """Spread of one metric of one structure.

    Attributes:
        label: Name of the label or region.
        metric: Name of the metric.
        over_patients: Standard deviation of the patients' means; NaN with fewer than two.
        between_folds: Standard deviation of the folds' means; NaN with fewer than two.
        by_fold: Mean over the cases of each fold that has any, by its number.
    """

    label: str
    metric: str
    over_patients: float
    between_folds: float
    by_fold: dict[int, float]

    def __str__(self) -> str:
        """Both deviations, and the range of the folds."""
        patients, folds = (as_text(self.metric, one, _DIGITS) for one in (self.over_patients, self.between_folds))
        ends = [as_text(self.metric, end(self.by_fold.values()), _DIGITS) for end in (min, max)]
        return (
            f"{self.label} {kind_of(self.metric).title}: standard deviation {patients} over patients, {folds} between "
            f"folds ({ends[0]} to {ends[1]})"
        )


def fold_spread(
    rows: Sequence[CaseMetrics], *, folds: Mapping[str, int], patients: Mapping[str, str]
) -> list[FoldSpread]:
    """Spread of each metric of each structure, where a case has it.

    Args:
        rows: Metrics per case and structure, each measured by the network that has not seen the case.
        folds: Fold of each case.
        patients: Patient of each case.
    """
    found = []
    for label in dict.fromkeys(row.label for row in rows):
        own = [row for row in rows if row.label == label]
        for metric in dict.fromkeys(metric for row in own for metric in row.values):
            known = [(row.case_id, row.values[metric]) for row in own if metric in row.values]
            values = {case_id: value for case_id, value in known if value == value}
            if not values:
                continue
            by_patient = _means(values, patients)
            by_fold = _means(values, folds)
            found.append(
                FoldSpread(
                    label,
                    metric,
                    _deviation(list(by_patient.values())),
                    _deviation(list(by_fold.values())),
                    {int(fold): by_fold[fold] for fold in sorted(by_fold)},
                )
            )
    return found


def _means(values: Mapping[str, float], groups: Mapping[str, Group]) -> dict[Group, float]:
    """Mean of the cases of each group."""
    members: dict[Group, list[float]] = {}
    for case_id, value in values.items():
        members.setdefault(groups[case_id], []).append(value)
    return {group: float(np.mean(found)) for group, found in members.items()}


def _deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
