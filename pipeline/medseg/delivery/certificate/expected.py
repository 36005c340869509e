"""The mask that every delivered file must hold, structure by structure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
        labels: Labels within the box, a view of the whole mask; of shape `(0, 0, 0)` if it has no voxel.
        voxels: Number of voxels.
        centroid_voxel: Mean of the voxels' indices; None if it has no voxel.
        centroid_mm: The same place in RAS+ millimetres; None if it has no voxel.
    """

    segment: Segment
    box: Box | None
    labels: Labelmap
    voxels: int
    centroid_voxel: tuple[float, float, float] | None
    centroid_mm: tuple[float, float, float] | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the box."""
        return self.labels.shape

    def mask(self) -> Mask:
        """Its voxels within the box, bool; made on each call, since the boxes of a hundred structures would add up."""
        return self.segment.mask(self.labels)


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

    def only(self, numbers: Collection[int]) -> Self:
        """Some of the structures, by the numbers of their segments."""
        return type(self)(self.geometry, tuple(one for one in self.structures if one.segment.number in numbers))


def mean_voxel(mask: Mask, start: Sequence[int]) -> tuple[float, float, float]:
    """Mean place of a mask's voxels, in voxels of the whole grid.

    Args:
        mask: Voxels of a box of the grid, bool, not all False.
        start: First voxel of the box.
    """
    count = np.count_nonzero(mask)
    means = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        profile = np.count_nonzero(mask, axis=others)
        means.append(float(profile @ np.arange(len(profile))) / count + start[axis])
    return means[0], means[1], means[2]


def _structure(labels: Labelmap, segment: Segment, boxes: Sequence[Any], geometry: Geometry) -> ExpectedStructure:
    found = [box for value in segment.values if (box := boxes[value - 1]) is not None]
    if not found:
        return ExpectedStructure(segment, None, labels[:0, :0, :0], 0, None, None)
    i, j, k = (slice(min(box[axis].start for box in found), max(box[axis].stop for box in found)) for axis in range(3))
    box = (i, j, k)
    part = labels[box]
    mask = segment.mask(part)
    middle = mean_voxel(mask, [extent.start for extent in box])
    x, y, z = geometry.world_mm(np.array([middle]))[0]
    return ExpectedStructure(segment, box, part, int(np.count_nonzero(mask)), middle, (float(x), float(y), float(z)))
