"""What is printed at the end of a prediction: masks, doubts about them, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from medseg.workflows import console

if TYPE_CHECKING:
    from medseg.inference.case_record import CaseRecord
    from medseg.inference.inputs import PassedOver
    from medseg.runs.segmentation.predict import PredictResult

_RECORD = "predictions.json"


def echo_masks(result: PredictResult) -> None:
    """Print where the masks are, which of them need a person, and what was passed over; exit 1 if a case failed."""
    console.warn(result.warnings)
    masks = len(result.predictions)
    click.echo(f"{masks} mask(s) in {result.folder}, {result.seconds:.1f} s; details in {result.folder / _RECORD}")
    if result.kept:
        click.echo(f"{result.kept} of {masks} masks were finished before and are kept")
    _echo_gates(result.cases)
    _echo_flags(result.cases)
    _echo_passed_over(result.passed_over)
    console.report_failures(result.failures)


def _echo_gates(cases: Sequence[CaseRecord]) -> None:
    """Print how much a gate left out."""
    gated = [(case.case_id, case.gate) for case in cases if case.gate is not None]
    if not gated:
        return
    kept = sum(gate.stop - gate.start for _, gate in gated) / max(sum(gate.slices for _, gate in gated), 1)
    empty = [case_id for case_id, gate in gated if gate.start == gate.stop]
    seconds = sum(gate.seconds for _, gate in gated)
    click.echo(
        f"gate: {kept:.0%} of the slices segmented, none in {len(empty)} case(s); the classifier took {seconds:.1f} s"
    )
    lines = [f"{case_id}: no slice reached the threshold; nothing was segmented" for case_id in empty]
    console.echo_first(lines, "gate", _RECORD)


def _echo_flags(cases: Sequence[CaseRecord]) -> None:
    """Print the masks that a person should review, and why."""
    doubts = {case.case_id: _doubts(case) for case in cases}
    flagged = {case_id: reasons for case_id, reasons in doubts.items() if reasons}
    lines = [f"{case_id}: {'; '.join(reasons)}" for case_id, reasons in flagged.items()]
    console.echo_first(lines, "flagged", _RECORD)
    if flagged or any(case.quality for case in cases):
        click.echo(f"{len(flagged)} of {len(cases)} mask(s) flagged for review")


def _doubts(case: CaseRecord) -> list[str]:
    by_classifier = [case.quality.reason] if case.quality and case.quality.is_flagged and case.quality.reason else []
    return [*(flag.reason for flag in case.flags), *by_classifier]


def _echo_passed_over(passed_over: Sequence[PassedOver]) -> None:
    console.echo_first([f"{one.path}: {one.reason}" for one in passed_over], "passed over", _RECORD)
