"""Masks cropped to their bounding box, since a hundred whole ones may not fit into memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from medseg.records import Mask


@dataclass(frozen=True, slots=True, eq=False)
class Cropped:
    """A mask within its bounding box.

    Attributes:
        box: Slices of the box in the whole mask; empty for an empty mask.
        mask: Part of the mask within the box, bool.
    """

    box: tuple[slice, slice, slice]
    mask: Mask

    @classmethod
    def of(cls, mask: Mask) -> Self:
        """Crop a mask of shape `(I, J, K)` to its box."""
        sides = []
        for axis in range(3):
            filled = np.flatnonzero(mask.any(axis=tuple(n for n in range(3) if n != axis)))
            sides.append(slice(int(filled[0]), int(filled[-1]) + 1) if len(filled) else slice(0, 0))
        box = (sides[0], sides[1], sides[2])
        return cls(box, mask[box].copy())

    def joined(self, other: Cropped) -> Cropped:
        """The union of two masks of the same whole shape."""
        parts = [part for part in (self, other) if part.mask.size]
        if len(parts) < 2:
            return parts[0] if parts else self
        start = [min(a.start, b.start) for a, b in zip(self.box, other.box, strict=True)]
        stop = [max(a.stop, b.stop) for a, b in zip(self.box, other.box, strict=True)]
        both = np.zeros([end - first for first, end in zip(start, stop, strict=True)], bool)
        for part in parts:
            both[tuple(slice(s.start - first, s.stop - first) for s, first in zip(part.box, start, strict=True))] |= (
                part.mask
            )
        i, j, k = (slice(first, end) for first, end in zip(start, stop, strict=True))
        return Cropped((i, j, k), both)

    def shared_voxels(self, other: Cropped) -> int:
        """Number of voxels that two masks have in common."""
        box = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(self.box, other.box, strict=True)]
        if any(side.start >= side.stop for side in box):
            return 0
        return int(np.count_nonzero(self._within(box) & other._within(box)))

    def _within(self, box: list[slice]) -> Mask:
        """The part of the mask in a box that lies inside its own."""
        return self.mask[
            tuple(slice(s.start - own.start, s.stop - own.start) for s, own in zip(box, self.box, strict=True))
        ]
