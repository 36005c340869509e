"""What a dataset has that a run does not know, case by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from medseg.configuration import Config
from medseg.preprocess.segmentation import StoredCase
from medseg.records import Manifest
from medseg.runs.case_digests import CaseDigests, digests_of
from medseg.runs.run_folder import RunRecord

State = Literal["old", "changed", "new"]


class CaseChanges(Config):
    """Cases of a fold by what the earlier run knows of them, and how they are known.

    Attributes:
        old: Cases that the run knows as they are.
        changed: Cases whose label, or scan, differs from the one that the run knows.
        new: Cases that it does not know.
    """

    old: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    new: tuple[str, ...] = ()

    @property
    def fresh(self) -> tuple[str, ...]:
        """New and changed cases."""
        return (*self.new, *self.changed)

    def __str__(self) -> str:
        """Counts."""
        return f"{len(self.old)} old, {len(self.changed)} corrected, {len(self.new)} new"


class KnownCases:
    """Cases of an earlier run, found again by id, or by the voxels of their scan where the id is another.

    Attributes:
        has_digests: Whether the run recorded digests; the ids alone tell otherwise, and a label that was reviewed
            counts as changed.

    Args:
        record: What the run was started with.
        digests: Digests of its cases, if it recorded them.
    """

    def __init__(self, record: RunRecord, digests: Mapping[str, CaseDigests] | None) -> None:
        self.has_digests = digests is not None
        self._digests = digests or {}
        self._ids = {*record.training, *record.validation}
        self._validation = set(record.validation)
        self._by_image = {one.image: case_id for case_id, one in self._digests.items() if one.image}

    def known_as(self, case_id: str, digests: CaseDigests) -> str | None:
        """Id under which the run knows a case; None for one that it does not know."""
        if case_id in self._ids:
            return case_id
        return self._by_image.get(digests.image) if digests.image else None

    def is_of_validation(self, known: str | None) -> bool:
        """Whether a case was one of the run's validation."""
        return known in self._validation

    def state_of(self, case: StoredCase, manifest: Manifest) -> tuple[State, str | None]:
        """What a case is to the run, and the id by which it is known there."""
        digests = digests_of(case)
        known = self.known_as(case.case_id, digests)
        if known is None:
            return "new", None
        if known in self._digests:
            return "old" if self._digests[known].is_same(digests) else "changed", known
        if self.has_digests:  # it could not be prepared for the run
            return "new", known
        is_reviewed = any(one.case_id == case.case_id and one.label_review for one in manifest.cases)
        return "changed" if is_reviewed else "old", known

    def gone(self, found: Sequence[str | None]) -> tuple[str, ...]:
        """Cases of the run that are not among those found again."""
        return tuple(sorted(self._ids - set(found)))


def sorted_changes(states: Mapping[str, State]) -> CaseChanges:
    """The cases by their states, in their order."""
    kinds: tuple[State, ...] = ("old", "changed", "new")
    return CaseChanges(**{kind: tuple(one for one, state in states.items() if state == kind) for kind in kinds})
