"""Someone who says what of a scan to segment, and whether the mask is to be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from medseg.inference.record import GateRecord, QualityRecord
from medseg.inference.slab import Slab
from medseg.records import Labelmap, Scan, SliceScores


@dataclass(frozen=True, slots=True)
class Review:
    """About one case.

    Attributes:
        scores: The classifier's.
        slab: What to segment; None for all.
        gate: For the record of predictions.
        quality: The same, once there is a mask.
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
        """Before the mask is drawn."""

    def check(self, mask: Labelmap, review: Review) -> Review:
        """Once it is drawn."""
