"""Reviews of one or several readers as one decision for each case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from medseg.delivery.review import CaseReview, ReviewFile


@dataclass(frozen=True, slots=True)
class Entry:
    """What one reader said of one case."""

    reader: str
    review: CaseReview


@dataclass(frozen=True, slots=True)
class Decision:
    """What all readers of a case said.

    Attributes:
        case_id: Id of the case.
        entries: Entries of the readers, those without a verdict among them.
    """

    case_id: str
    entries: tuple[Entry, ...]

    @property
    def decided(self) -> tuple[Entry, ...]:
        """Entries with a verdict."""
        return tuple(entry for entry in self.entries if entry.review.verdict is not None)

    @property
    def is_disputed(self) -> bool:
        """Whether readers gave different verdicts, corrected different voxels or read different masks."""
        return len({_what(entry.review) for entry in self.decided}) > 1

    @property
    def review(self) -> CaseReview:
        """The latest of the decisions, which are alike."""
        return max((entry.review for entry in self.decided), key=lambda review: review.decided)

    @property
    def readers(self) -> tuple[str, ...]:
        """Readers who gave a verdict, each once."""
        return tuple(dict.fromkeys(entry.reader for entry in self.decided))


def decisions_of(reviews: Sequence[ReviewFile]) -> list[Decision]:
    """The decisions of all cases, in the order in which they are first named.

    Of two files of one reader, as saved on two days, the later word on a case counts.
    """
    by_case: dict[str, dict[str, Entry]] = defaultdict(dict)
    for file in sorted(reviews, key=lambda one: one.saved):
        for case in file.cases:
            by_case[case.case_id][file.reader] = Entry(file.reader, case)
    return [Decision(case_id, tuple(entries.values())) for case_id, entries in by_case.items()]


def _what(review: CaseReview) -> tuple[object, ...]:
    edits = sorted((edit.value, edit.runs) for edit in review.edits) if review.verdict == "accepted" else []
    return (review.verdict, review.mask_sha256, tuple(edits))
