"""The axis of a scan's array that its slices follow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from medseg.geometry import Geometry
from medseg.plane import PLANES, Plane
from medseg.preprocess.grid import flat_last
from medseg.records import Array


class SliceAxis(NamedTuple):
    """Slices of one plane of one scan.

    Attributes:
        grid: The scan's voxels with the picture's two axes first and the slices last, towards S, A or R.
        axis: Axis of the scan's own array that the slices follow.
        is_flipped: Whether the scan's own array holds them in the opposite order.
        positions_mm: Centre of each slice of `grid` along S, A or R, in order.
    """

    grid: Geometry
    axis: int
    is_flipped: bool
    positions_mm: Array


def slice_axis(geometry: Geometry, plane: Plane) -> SliceAxis:
    """Find the slices of a plane; a scan of a single slice along any axis is one picture, whatever the plane."""
    grid = geometry.reoriented(PLANES[plane].axcodes)
    if 1 in geometry.shape:
        grid = flat_last(geometry.reoriented("RAS"))
    along = grid.axis_maps(geometry)[2]
    first, second, count = grid.shape
    centres = np.array([((first - 1) / 2, (second - 1) / 2, k) for k in range(count)])
    world_axis = int(np.argmax(np.abs(grid.affine[:3, 2])))
    return SliceAxis(grid, along.source_axis, along.scale < 0, grid.world_mm(centres)[:, world_axis])
