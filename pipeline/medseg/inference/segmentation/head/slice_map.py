"""The slices of a scan along its last axis on the grid of a network."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from medseg.geometry import Geometry
from medseg.records import Array


class SliceMap(NamedTuple):
    """Where the slices of a scan lie on a network's grid.

    Attributes:
        axis: Axis of the network's grid that the slices follow.
        scale: Planes of the grid from one slice to the next; negative where they run the other way.
        offset: Plane of the first slice.
        slices: Slices of the scan.
        planes: Planes of the grid.
    """

    axis: int
    scale: float
    offset: float
    slices: int
    planes: int

    @classmethod
    def of(cls, native: Geometry, grid: Geometry) -> Self:
        """The slices of a scan's own grid on a network's, which may hold a part of the scan."""
        along = native.axis_maps(grid)[2]
        return cls(along.source_axis, along.scale, along.offset, native.shape[2], grid.shape[along.source_axis])

    def slice_at(self, planes: Array) -> Array:
        """Number of the slice that is nearest to each plane; -1 outside of the scan or of the grid."""
        nearest = np.round((planes - self.offset) / self.scale).astype(np.int64)
        is_inside = (nearest >= 0) & (nearest < self.slices) & (planes > -0.5) & (planes < self.planes - 0.5)
        return np.where(is_inside, nearest, -1)

    def on_slices(self, rows: Array) -> Array:
        """Rows of planes `(planes, N)`, interpolated to slices `(slices, N)`; NaN for slices that the grid lacks.

        Beyond the centres of the first and last plane theirs are taken.
        """
        places = self.offset + self.scale * np.arange(self.slices)
        found = np.stack([np.interp(places, np.arange(len(rows)), column) for column in rows.T], axis=1)
        reach = max(0.5, abs(self.scale) / 2)
        found[(places < -reach) | (places > self.planes - 1 + reach)] = np.nan
        return found


def slice_positions_mm(native: Geometry) -> Array:
    """Centre of each slice along the patient axis that slices follow most, `(slices,)`."""
    first, second, count = native.shape
    centres = np.array([((first - 1) / 2, (second - 1) / 2, k) for k in range(count)])
    world_axis = max(range(3), key=lambda axis: abs(native.affine[axis, 2]))
    return np.asarray(native.world_mm(centres)[:, world_axis])
