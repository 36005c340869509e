"""How the grid of a scan runs through the grid of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from medseg.delivery.certificate.expected import ExpectedStructure
from medseg.errors import GeometryError
from medseg.geometry import Geometry
from medseg.records import Mask

_ON_GRID = 0.1  # of a voxel: by which any voxel of the file may miss one of the scan, and be that voxel


class Lattice(NamedTuple):
    """How the axes of the scan's grid run through a file's grid.

    Attributes:
        axes: Axis of the file along which each axis of the scan runs.
        flips: Whether it runs the other way.
        offsets: Voxel of the file at which voxel 0 of the scan lies, along the scan's axes.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    offsets: tuple[int, int, int]

    @classmethod
    def of(cls, scan: Geometry, file: Geometry) -> Lattice:
        """Find the voxels of one grid in the other.

        Raises:
            GeometryError: If the voxels of the file are not voxels of the scan.
        """
        maps = scan.axis_maps(file)
        offsets = [round(one.offset) for one in maps]
        for one, offset, size in zip(maps, offsets, scan.shape, strict=True):
            miss = abs(abs(one.scale) - 1) * size + abs(one.offset - offset)
            if miss > _ON_GRID:
                raise GeometryError(
                    f"voxels of the file must be voxels of the scan, got a step of {one.scale:.4g} and a shift of "
                    f"{one.offset - offset:.2g} voxels along axis {one.source_axis}"
                )
        i, j, k = maps
        return cls(
            (i.source_axis, j.source_axis, k.source_axis),
            (i.scale < 0, j.scale < 0, k.scale < 0),
            (offsets[0], offsets[1], offsets[2]),
        )

    def cut(self, mask: Mask, structure: ExpectedStructure) -> Mask:
        """The box of a structure out of a file's mask; False where the file's grid does not reach."""
        if structure.box is None:
            return structure.mask()
        inside, target = [], []
        turned = mask.transpose(self.axes)
        for extent, flip, offset, size in zip(structure.box, self.flips, self.offsets, turned.shape, strict=True):
            # along this axis, voxel n of the scan is voxel offset - n or offset + n of the file
            first, last = (
                (offset - extent.start, offset - extent.stop + 1)
                if flip
                else (offset + extent.start, offset + extent.stop - 1)
            )
            low, high = max(min(first, last), 0), min(max(first, last), size - 1)
            if low > high:
                return np.zeros(structure.shape, bool)
            start = first - high if flip else low - first
            inside.append(slice(high, low - 1 if low else None, -1) if flip else slice(low, high + 1))
            target.append(slice(start, start + high - low + 1))
        part = turned[tuple(inside)]
        if part.shape == structure.shape:
            return part
        cut = np.zeros(structure.shape, bool)
        cut[tuple(target)] = part
        return cut

    def file_voxel(self, voxel: Sequence[float]) -> list[float]:
        """A place in voxels of the scan as one in voxels of the file."""
        place = [0.0, 0.0, 0.0]
        for axis, flip, offset, index in zip(self.axes, self.flips, self.offsets, voxel, strict=True):
            place[axis] = offset - index if flip else offset + index
        return place
