"""What an update forgot and gained: the earlier and the new weights on the same validation cases."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from medseg.evaluation.segmentation import (
    NonInferiority,
    as_text,
    non_inferiority,
    scoped_metrics,
    summarise,
)
from medseg.evaluation.segmentation.non_inferiority import with_absent
from medseg.records import CaseMetrics
from medseg.runs.segmentation.update.record import UpdateRecord

METRIC = "dice"
MEAN = "mean over structures"
_TITLES = {"old": "old validation cases", "new": "new and corrected validation cases"}


@dataclass(frozen=True, slots=True)
class GroupChange:
    """One group of validation cases, measured by the earlier and by the new weights.

    Attributes:
        name: `old` for cases that the updated run knows as they are, `new` for new and corrected ones.
        answers: Change of the mean over structures, if there are several, and of each structure.
        values: Metrics of the new weights and changes by their names in MLflow.
        cases: Count of cases that both have measured.
    """

    name: str
    answers: tuple[NonInferiority, ...]
    values: dict[str, float]
    cases: int

    @property
    def content(self) -> dict[str, Any]:
        """The group for `validation.json`."""
        return {
            "cases": self.cases,
            "margin": self.answers[0].margin if self.answers else None,
            "changes": [
                {**asdict(one.difference), "is_loss_ruled_out": one.is_shown, "is_forgotten": self._is_lost(one)}
                for one in self.answers
            ],
        }

    @property
    def note(self) -> str:
        """The change of the mean over structures, or of the only one, in a sentence."""
        first = self.answers[0]
        before, after = (as_text(METRIC, value, 4) for value in (first.difference.first, first.difference.second))
        change = str(first) if self.name == "old" else f"{first.difference.structure}: {first.difference}"
        return f"{_TITLES[self.name]} ({self.cases}), Dice {before} before, {after} now; {change}"

    @property
    def lost(self) -> tuple[NonInferiority, ...]:
        """Changes that are losses beyond chance, of which more than the margin is not ruled out."""
        return tuple(one for one in self.answers if self._is_lost(one))

    def _is_lost(self, one: NonInferiority) -> bool:
        is_beyond_chance = one.difference.structure == self.answers[0].difference.structure or (
            one.difference.verdict == "first"
        )
        return one.is_worse and is_beyond_chance and not one.is_shown


@dataclass(frozen=True, slots=True)
class UpdateChange:
    """Both groups; one without a case is left out.

    Attributes:
        groups: The groups.
        drawn: Count of cases that do not enter, because the earlier weights drew their labels.
    """

    groups: tuple[GroupChange, ...]
    drawn: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each group, and one for cases that would flatter the earlier weights."""
        drawn = (
            f"{self.drawn} validation cases do not enter there: their labels are masks that the earlier weights drew"
        )
        return (*(group.note for group in self.groups), *([drawn] if self.drawn else []))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was forgotten, and what to do; or that nothing can tell."""
        old = next((group for group in self.groups if group.name == "old"), None)
        if old is None:
            return ("no validation case of the updated run is left: whether the update forgot is not measured",)
        if not old.lost:
            return ()
        changes = "; ".join(str(one) for one in old.lost)
        help_text = "keep the earlier run, or update it again with more time or a smaller training.fresh_share"
        return (f"the update forgot on the old validation cases: {changes}; {help_text}",)

    @property
    def values(self) -> dict[str, float]:
        """Metrics by their names in MLflow."""
        return {name: value for group in self.groups for name, value in group.values.items()}

    @property
    def content(self) -> dict[str, Any]:
        """Both groups for `validation.json`."""
        return {group.name: group.content for group in self.groups} | {"labels_drawn_by_earlier": self.drawn}


def measure_change(
    record: UpdateRecord,
    before: Sequence[CaseMetrics],
    after: Sequence[CaseMetrics],
    *,
    patients: Mapping[str, str],
    seen: Collection[str] = (),
    drawn: Collection[str] = (),
) -> UpdateChange:
    """Compare the weights that an update began with to those that it ended with.

    Args:
        record: What the update was begun with.
        before: Validation of the earlier weights.
        after: Validation of the new weights.
        patients: Patient of each case.
        seen: Cases of patients that the earlier run was trained on, which would flatter it.
        drawn: Cases whose labels are masks of the earlier weights, accepted or corrected by people: the same.
    """
    both = ({row.case_id for row in before} & {row.case_id for row in after}) - set(seen)
    left_out, both = both & set(drawn), both - set(drawn)
    groups = {"old": record.validation.old, "new": record.validation.fresh}
    found = []
    for name, members in groups.items():
        wanted = both & set(members)
        rows = [[row for row in some if row.case_id in wanted] for some in (before, after)]
        if wanted:
            found.append(_group(name, rows[0], rows[1], patients, record.margin))
    return UpdateChange(tuple(found), drawn=len(left_out))


def _group(
    name: str,
    before: Sequence[CaseMetrics],
    after: Sequence[CaseMetrics],
    patients: Mapping[str, str],
    margin: float,
) -> GroupChange:
    answers = non_inferiority(before, after, patients=patients, margin=margin, metric=METRIC)
    if len(answers) > 1:
        means = [list(_case_means(rows)) for rows in (before, after)]
        answers = [*non_inferiority(*means, patients=patients, margin=margin, metric=METRIC), *answers]
    values = scoped_metrics(summarise(after), f"val_{name}") | _change_values(name, answers)
    return GroupChange(name, tuple(answers), values, len({row.case_id for row in after}))


def _case_means(rows: Sequence[CaseMetrics]) -> Iterator[CaseMetrics]:
    """A row per case with the mean over its structures, absent ones counted as `non_inferiority` counts them."""
    for case_id in dict.fromkeys(row.case_id for row in rows):
        own = [with_absent(row, METRIC) for row in rows if row.case_id == case_id]
        mean = float(np.mean([row.values[METRIC] for row in own]))
        voxels = (sum(row.label_voxels for row in own), sum(row.mask_voxels for row in own))
        yield CaseMetrics(case_id, MEAN, {METRIC: mean}, *voxels)


def _change_values(name: str, answers: Sequence[NonInferiority]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in answers:
        entry = one.difference
        structure = "mean" if entry.structure == MEAN else entry.structure
        ends = {"change": entry.difference, "change_low": entry.low, "change_high": entry.high}
        found |= {f"val_{name}/{METRIC}_{what}/{structure}": value for what, value in ends.items()}
    return {key: value for key, value in found.items() if math.isfinite(value)}
