"""A slice classifier as gate and check of masks."""

from __future__ import annotations

import time
from dataclasses import replace

from medseg.inference.classification.gate import Gate
from medseg.inference.classification.predictor import SlicePredictor
from medseg.inference.classification.quality import check_mask, shared_classes
from medseg.inference.record import GateRecord
from medseg.inference.reviewer import Review
from medseg.records import Labelmap, Scan
from medseg.targets import VoxelTarget


class SliceReviewer:
    """Classifies every scan once, for the gate and for the check of its mask.

    Args:
        classifier: Loaded slice classifier.
        target: Target of the model that draws the masks.
        gate: Choice of the slices to segment; all if not given.

    Raises:
        ConfigError: If the classifier knows none of the labels.
    """

    def __init__(self, classifier: SlicePredictor, *, target: VoxelTarget, gate: Gate | None = None) -> None:
        shared_classes(classifier.card, target)
        self.classifier = classifier
        self.target = target
        self.gate = gate

    def screen(self, scan: Scan, *, case_id: str) -> Review:
        """Classify the slices, and choose those to segment."""
        start = time.perf_counter()
        scores = self.classifier.scores(scan, case_id=case_id)
        pixel_mm2 = _pixel_mm2(scan, scores.axis)
        if self.gate is None:
            return Review(scores, pixel_mm2=pixel_mm2)
        slab = self.gate.slab(scores, self.classifier.card)
        record = GateRecord(
            sensitivity=self.gate.sensitivity,
            threshold=self.gate.threshold,
            axis=slab.axis,
            start=slab.start,
            stop=slab.stop,
            slices=len(scores.positions_mm),
            seconds=round(time.perf_counter() - start, 3),
        )
        return Review(scores, slab, record, pixel_mm2=pixel_mm2)

    def check(self, mask: Labelmap, review: Review) -> Review:
        """Compare the mask with the classifier."""
        quality = check_mask(mask, review.scores, self.classifier.card, target=self.target, pixel_mm2=review.pixel_mm2)
        return replace(review, quality=quality)


def _pixel_mm2(scan: Scan, axis: int) -> float:
    """Area of a voxel seen along an axis of the scan's array."""
    first, second = (mm for other, mm in enumerate(scan.geometry.spacing_mm) if other != axis)
    return first * second
