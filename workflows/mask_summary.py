"""What is printed at the end of a prediction: masks, doubts about them, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from medseg.workflows import console

if TYPE_CHECKING:
    from medseg.inference.case_record import CaseRecord
    from medseg.inference.inputs import PassedOver
    from medseg.runs.segmentation.predict import PredictResult

_RECORD = "predictions.json"
_MOST_TEXTS = 2  # on a line


def echo_masks(result: PredictResult) -> None:
    """Print where the masks are, which of them need a person, and what was passed over; exit 1 if a case failed."""
    console.warn(result.warnings)
    masks = len(result.predictions)
    click.echo(f"{masks} mask(s) in {result.folder}, {result.seconds:.1f} s; details in {result.folder / _RECORD}")
    if result.kept:
        click.echo(f"{result.kept} of {masks} masks were finished before and are kept")
    if result.edited:
        edited = f"{len(result.edited)} of them as a person changed them: {_first(result.edited, between=', ')}"
        click.echo(f"{edited}; move one away to have it drawn again")
    _echo_gates(result.cases)
    _echo_flags(result.cases)
    echo_passed_over(result.passed_over)
    console.report_failures(result.failures, where=result.folder / _RECORD)


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
    lines = [f"{case_id}: {_first(reasons)}" for case_id, reasons in flagged.items()]
    console.echo_first(lines, "flagged", _RECORD)
    if flagged or any(case.quality for case in cases):
        click.echo(f"{len(flagged)} of {len(cases)} mask(s) flagged for review")


def _doubts(case: CaseRecord) -> list[str]:
    by_classifier = [case.quality.reason] if case.quality and case.quality.is_flagged and case.quality.reason else []
    return [*(flag.reason for flag in case.flags), *by_classifier]


def _first(texts: Sequence[str], *, between: str = "; ") -> str:
    more = len(texts) - _MOST_TEXTS
    return between.join([*texts[:_MOST_TEXTS], *([f"and {more} more"] if more > 0 else [])])


def echo_passed_over(passed_over: Sequence[PassedOver]) -> None:
    """Print a line for each reason, the most frequent first, so that many files of a kind hide no other kind."""
    count = Counter(one.reason for one in passed_over)
    first = {one.reason: one.path for one in reversed(passed_over)}
    lines = [
        f"{first[reason]}: {reason}" if number == 1 else f"{number} such as {first[reason]}: {reason}"
        for reason, number in count.most_common()
    ]
    console.echo_first(lines, "passed over", _RECORD)
