"""One look at a scan or mask, whether it is flagged or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from medseg.inference.flag_record import FlagKind, FlagRecord

CERTAIN = 100.0
"""Severity of what is no question of more or less, such as a constant scan."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One number of a case against what is usual.

    Attributes:
        kind: What was looked at.
        structure: Name of the structure; None where it is about the whole scan.
        value: The number, in the unit of the reason; None where there is none.
        severity: Distance from what is usual; above 1 it is flagged.
        reason: What was found and what is usual, in one sentence.
    """

    kind: FlagKind
    structure: str | None
    value: float | None
    severity: float
    reason: str

    @property
    def is_flagged(self) -> bool:
        """Whether a person should look at it."""
        return self.severity > 1

    def record(self) -> FlagRecord:
        """The flag of `predictions.json`."""
        return FlagRecord(kind=self.kind, structure=self.structure, reason=self.reason, value=self.value)


def worst_of(findings: Iterable[Observation]) -> Iterator[Observation]:
    """The most severe of some findings, where there are any."""
    found = list(findings)
    if found:
        yield max(found, key=lambda finding: finding.severity)
