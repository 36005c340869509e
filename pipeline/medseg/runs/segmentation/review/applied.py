"""What became of a review."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medseg.records import Failure, Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedReview:
    """A data set after some reviews.

    Attributes:
        manifest: Data set; a new version where a label was added.
        file: File of that version; None where no label was added, so that none was written.
        previous: File that keeps the version before, if the new one took its name.
        root: Folder that the manifest's paths are relative to.
        accepted: Cases whose mask became their label as it was drawn.
        corrected: Cases whose corrected mask became their label.
        queued: Rejected cases, which wait for a person to label them.
        rejected: Rejected cases that have a label from elsewhere, which stays.
        known: Cases whose decisions were taken over before.
        undecided: Cases with a comment or corrections, but without a verdict.
        disputed: Cases on which readers disagree, which are left as they were.
        failures: Cases whose decisions could not be taken over, with the reasons.
        log: File that keeps every decision.
        queue: File with the cases to label.
        warnings: Sentences for the person who took the reviews over.
    """

    manifest: Manifest
    file: Path | None
    previous: Path | None
    root: Path
    accepted: tuple[str, ...]
    corrected: tuple[str, ...]
    queued: tuple[str, ...]
    rejected: tuple[str, ...]
    known: tuple[str, ...]
    undecided: tuple[str, ...]
    disputed: tuple[str, ...]
    failures: tuple[Failure, ...]
    log: Path
    queue: Path
    warnings: tuple[str, ...]
