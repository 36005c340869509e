"""A scan ready for a network's head."""

from __future__ import annotations

import numpy as np

from medseg.geometry import Geometry
from medseg.inference.segmentation.head.card import HeadCard
from medseg.inference.segmentation.head.slice_map import SliceMap
from medseg.inference.segmentation.head.sums import HeadSums
from medseg.records import Array


class PreparedHead:
    """What a head finds in one scan, while windows slide over it.

    Args:
        card: Classes of the head.
        native: The scan's own grid.

    Attributes:
        sums: Sums of the windows; None where the network is to see nothing of the scan.
    """

    def __init__(self, card: HeadCard, native: Geometry) -> None:
        self._card, self._native = card, native
        self._map: SliceMap | None = None
        self.sums: HeadSums | None = None

    def begin(self, grid: Geometry) -> None:
        """Take a network's grid, which may hold a part of the scan."""
        self._map = SliceMap.of(self._native, grid)
        self.sums = HeadSums(self._card.target, self._map.axis)

    def logits(self) -> Array:
        """Logits `(slices, classes)`, or `(1, classes)` of a head of studies; NaN where the network saw nothing."""
        if self.sums is None or self._map is None:
            return np.full(self._card.target.unknown(self._native.shape[2]).shape, np.nan)
        found = self.sums.logits()
        return found if self._card.level == "study" else self._map.on_slices(found)
