"""A reviewer: chooses the slices of a scan to segment, and checks the mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from medseg.inference.record import GateRecord, QualityRecord
from medseg.inference.slab import Slab
from medseg.records import Labelmap, Scan, SliceScores


@dataclass(frozen=True, slots=True)
class Review:
    """The review of one case.

    Attributes:
        scores: Probabilities of the classifier.
        slab: Slices to segment; None for all.
        gate: Record of the gate; None without one.
        quality: Record of the check; None before there is a mask.
        pixel_mm2: Area of a voxel of the scan on the classifier's slices.
    """

    scores: SliceScores
    slab: Slab | None = None
    gate: GateRecord | None = None
    quality: QualityRecord | None = None
    pixel_mm2: float = 1.0


class Reviewer(Protocol):
    """A slice classifier beside the segmenting network."""

    def screen(self, scan: Scan, *, case_id: str) -> Review:
        """Review a scan before its mask is drawn."""

    def check(self, mask: Labelmap, review: Review) -> Review:
        """Complete the review with a check of the mask."""
