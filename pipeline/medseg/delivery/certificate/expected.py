"""The mask that every delivered file must hold, structure by structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy import ndimage

from medseg.geometry import Geometry
from medseg.records import Labelmap, Mask
from medseg.scans.segment import Segment

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedStructure:
    """One structure of the mask.

    Attributes:
        segment: Its name and number.
        box: Smallest box of the grid that holds it; None if it has no voxel.
        mask: Its voxels within the box, bool; of shape `(0, 0, 0)` if it has none.
        voxels: Number of voxels.
        centroid_mm: Mean place of the voxel centres in RAS+ millimetres; None if it has no voxel.
    """

    segment: Segment
    box: Box | None
    mask: Mask
    voxels: int
    centroid_mm: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedMask:
    """The whole mask.

    Attributes:
        geometry: Grid of the scan, as its reader gives it.
        structures: Structures in the order of their numbers.
    """

    geometry: Geometry
    structures: tuple[ExpectedStructure, ...]

    @classmethod
    def of(cls, labels: Labelmap, segments: Sequence[Segment], geometry: Geometry) -> Self:
        """Take a labelmap apart.

        Args:
            labels: Label values of shape `(I, J, K)`.
            segments: Structures.
            geometry: Grid of the labels.
        """
        largest = max((value for segment in segments for value in segment.values), default=0)
        boxes: list[Any] = ndimage.find_objects(labels, max_label=largest)
        return cls(geometry, tuple(_structure(labels, segment, boxes, geometry) for segment in segments))


def centroid_mm(mask: Mask, start: Sequence[int], geometry: Geometry) -> tuple[float, float, float]:
    """Mean place of a mask's voxel centres.

    Args:
        mask: Voxels of a box of the grid, bool, not all False.
        start: First voxel of the box.
        geometry: The whole grid.

    Returns:
        RAS+ millimetres.
    """
    count = np.count_nonzero(mask)
    means = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        profile = np.count_nonzero(mask, axis=others)
        means.append(float(profile @ np.arange(len(profile))) / count + start[axis])
    x, y, z = geometry.world_mm(np.array([means]))[0]
    return float(x), float(y), float(z)


def _structure(labels: Labelmap, segment: Segment, boxes: Sequence[Any], geometry: Geometry) -> ExpectedStructure:
    found = [box for value in segment.values if (box := boxes[value - 1]) is not None]
    if not found:
        return ExpectedStructure(segment, None, np.zeros((0, 0, 0), bool), 0, None)
    i, j, k = (slice(min(box[axis].start for box in found), max(box[axis].stop for box in found)) for axis in range(3))
    box = (i, j, k)
    mask = segment.mask(labels[box])
    place = centroid_mm(mask, [extent.start for extent in box], geometry)
    return ExpectedStructure(segment, box, mask, int(np.count_nonzero(mask)), place)
