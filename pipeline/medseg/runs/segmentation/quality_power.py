"""How well a classifier's disagreement finds the masks that failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from medseg.evaluation.classification import FailureDetection, failure_auroc
from medseg.inference import PredictionRecord
from medseg.records import CaseMetrics


@dataclass(frozen=True, slots=True)
class QualityPower:
    """Failed masks against flagged masks.

    Attributes:
        dice_bound: Mean Dice below which a mask counts as failed.
        found: AUROC of the disagreement for failed masks, with its interval and counts.
        flagged: Count of the flagged masks.
        failed_and_flagged: Count of the masks that are both.
    """

    dice_bound: float
    found: FailureDetection
    flagged: int
    failed_and_flagged: int

    def content(self) -> dict[str, Any]:
        """The fields of `summary.json`."""
        return {
            "dice_bound": self.dice_bound,
            **self.found._asdict(),
            "flagged": self.flagged,
            "failed_and_flagged": self.failed_and_flagged,
        }

    def __str__(self) -> str:
        """One line."""
        found = self.found
        auroc = (
            f"AUROC {found.auroc:.3f} ({found.low:.3f} to {found.high:.3f})"
            if found.auroc == found.auroc
            else "no AUROC, as none or all failed"
        )
        return (
            f"classifier's disagreement for mean Dice below {self.dice_bound:g}: {auroc}; {found.failed} of "
            f"{found.failed + found.kept} failed, {self.flagged} flagged, {self.failed_and_flagged} of them failed"
        )


def quality_power(
    rows: Sequence[CaseMetrics], record: PredictionRecord | None, *, bound: float, patients: Mapping[str, str]
) -> QualityPower | None:
    """Hold the disagreement of a classifier against the Dice of the masks.

    Args:
        rows: Metrics of the masks.
        record: Record of the prediction.
        bound: Mean Dice over the labels of a case below which its mask counts as failed.
        patients: Patient of each case.

    Returns:
        None where no classifier has checked the masks.
    """
    checked = {case.case_id: case.quality for case in record.cases if case.quality} if record else {}
    dice: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.case_id in checked and row.values["dice"] == row.values["dice"]:
            dice[row.case_id].append(row.values["dice"])
    if not dice:
        return None
    ids = sorted(dice)
    found = failure_auroc(
        [checked[case_id].disagreement for case_id in ids],
        [fmean(dice[case_id]) for case_id in ids],
        bound,
        patients=[patients[case_id] for case_id in ids],
    )
    flagged = {case_id for case_id in ids if checked[case_id].is_flagged}
    failed = {case_id for case_id in ids if fmean(dice[case_id]) < bound}
    return QualityPower(bound, found, len(flagged), len(failed & flagged))
