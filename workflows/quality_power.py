"""How well a classifier's disagreement finds the masks that failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import click
from medseg.evaluation.classification import failure_auroc
from medseg.inference import PredictionRecord
from medseg.records import CaseMetrics


def quality_power(
    rows: Sequence[CaseMetrics], record: PredictionRecord | None, *, bound: float, patients: Mapping[str, str]
) -> dict[str, Any] | None:
    """AUROC of the disagreement for a mean Dice below a bound; None where no classifier has checked the masks.

    Args:
        rows: Metrics of the masks.
        record: What `medseg predict` wrote beside them.
        bound: On the mean Dice over the labels of a case.
        patients: Patient of each case.
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
    return {
        "dice_bound": bound,
        **found._asdict(),
        "flagged": len(flagged),
        "failed_and_flagged": len(failed & flagged),
    }


def print_power(power: dict[str, Any] | None) -> None:
    """One line."""
    if power is None:
        return
    auroc = (
        f"AUROC {power['auroc']:.3f} ({power['low']:.3f} to {power['high']:.3f})"
        if power["auroc"] == power["auroc"]
        else "no AUROC, as none or all failed"
    )
    cases = power["failed"] + power["kept"]
    click.echo(
        f"classifier's disagreement for mean Dice below {power['dice_bound']:g}: {auroc}; {power['failed']} of {cases} "
        f"failed, {power['flagged']} flagged, {power['failed_and_flagged']} of them failed"
    )
