"""What the cards of some models do not suffice to check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medseg.inference.flag_record import FlagKind
from medseg.inference.segmentation.quality.statistics import TrainingStatistics
from medseg.inference.unchecked_record import UncheckedRecord

_UNUSUAL: tuple[FlagKind, ...] = ("volume", "border", "parts", "grid", "orientation", "intensity", "modality")
_NO_STATISTICS = (
    "the model's card holds no statistics of its training scans: masks are flagged for a constant scan, for doubts of "
    "the network and for disagreement of several, but not for unusual volumes, parts or scans"
)


def unchecked_of(members: Sequence[TrainingStatistics | None]) -> tuple[UncheckedRecord, ...]:
    """The flags that are computed without some models, or not at all.

    Args:
        members: Statistics of each model; None where its card has none.
    """
    if not any(members):
        return (UncheckedRecord(model=1, kinds=_UNUSUAL, reason=_NO_STATISTICS),)
    return tuple(_beside_others(members))


def _beside_others(members: Sequence[TrainingStatistics | None]) -> Iterator[UncheckedRecord]:
    """Models without what others have, by which alone masks are checked."""
    is_calibrated = any(member.confidence for member in members if member is not None)
    for number, member in enumerate(members, start=1):
        if member is None:
            kinds: tuple[FlagKind, ...] = (*(("confidence",) if is_calibrated else ()), *_UNUSUAL)
            doubts = "its own confidence counts for no flag, and " if is_calibrated else ""
            reason = (
                f"model {number}: its card holds no statistics of its training scans: {doubts}volumes, parts and scans "
                "are compared with those of the other models alone"
            )
            yield UncheckedRecord(model=number, kinds=kinds, reason=reason)
        elif is_calibrated and not member.confidence:
            reason = (
                f"model {number}: its confidence was not compared with a validation, as that of other models was: it "
                "counts for no flag"
            )
            yield UncheckedRecord(model=number, kinds=("confidence",), reason=reason)
