"""Distances between the outlines of two masks, in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from medseg.evaluation.segmentation.nearest import nearest_distances
from medseg.records import Array, Mask


class SurfaceDistances(NamedTuple):
    """Distances in both directions.

    Attributes:
        from_label: Distance of each surface voxel of the label to the mask's surface, in millimetres.
        from_mask: Distance of each surface voxel of the mask to the label's surface.
    """

    from_label: Array
    from_mask: Array

    def percentile_mm(self, percent: float) -> float:
        """The larger of the two directions' percentiles, interpolated linearly; 100 gives the Hausdorff distance."""
        return float(max(np.percentile(part, percent) for part in self))

    def mean_mm(self) -> float:
        """Mean over the surface voxels of both masks together."""
        return float((self.from_label.sum() + self.from_mask.sum()) / (len(self.from_label) + len(self.from_mask)))


def surface_distances(label: Mask, mask: Mask, *, spacing_mm: Sequence[float]) -> SurfaceDistances:
    """Distance from every surface voxel of one mask to the nearest one of the other.

    A surface voxel has a neighbour outside across one of its faces; beyond the grid is outside. Distances join voxel
    centres.

    Args:
        label: Reference, bool, of two or three axes, not empty.
        mask: Prediction on the same grid, not empty.
        spacing_mm: Voxel size along each axis.
    """
    edges = [_surface(part) for part in (label, mask)]
    return SurfaceDistances(
        nearest_distances(edges[0], edges[1], spacing_mm=spacing_mm),
        nearest_distances(edges[1], edges[0], spacing_mm=spacing_mm),
    )


def _surface(part: Mask) -> Mask:
    """Voxels of a mask with a face that has no neighbour in it."""
    rimmed = np.pad(part, 1)
    inner = part.copy()
    for axis in range(part.ndim):
        for start in (0, 2):
            place = [slice(1, -1)] * part.ndim
            place[axis] = slice(start, start + part.shape[axis])
            inner &= rimmed[tuple(place)]
    return part & ~inner


def solid_axes(shape: Sequence[int]) -> list[int]:
    """The axes of more than one voxel, and flat ones where there are fewer than two: outlines lie in a plane."""
    thick_first = sorted(range(len(shape)), key=lambda axis: (shape[axis] == 1, axis))
    return sorted(thick_first[: max(2, sum(size > 1 for size in shape))])
