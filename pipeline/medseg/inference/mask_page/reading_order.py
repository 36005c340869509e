"""Which masks are most worth a reader's time."""

from __future__ import annotations

from collections.abc import Iterable

from medseg.inference.case_record import CaseRecord


def reading_order(cases: Iterable[CaseRecord]) -> list[CaseRecord]:
    """Cases by what a reader should see first.

    Masks with flags come first, those with more flags before others; then those on which an ensemble's members disagree
    most, then those of which the network is least confident, then those that contradict a slice classifier most. What
    was not measured counts as nothing; equal cases are sorted by id.
    """
    return sorted(cases, key=_place)


def flag_count(case: CaseRecord) -> int:
    """Number of flags of a mask, with that of a slice classifier."""
    return len(case.flags) + bool(case.quality and case.quality.is_flagged)


def least_confidence(case: CaseRecord) -> float | None:
    """Confidence in the structure that the network is least confident of; None where none was measured."""
    measured = [value for value in (case.confidence or {}).values() if value is not None]
    return min(measured, default=None)


def largest_disagreement(case: CaseRecord) -> float | None:
    """Disagreement about the structure that the members disagree on most; None where none was measured."""
    measured = [value for value in (case.disagreement or {}).values() if value is not None]
    return max(measured, default=None)


def _place(case: CaseRecord) -> tuple[float, float, float, float, str]:
    confidence = least_confidence(case)
    return (
        -flag_count(case),
        -(largest_disagreement(case) or 0.0),
        confidence if confidence is not None else 1.0,
        -(case.quality.disagreement if case.quality else 0.0),
        case.case_id,
    )
