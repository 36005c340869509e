"""The grid on which the network works, for a given scan, and parts of it."""

from __future__ import annotations

import math

from medseg.errors import GeometryError
from medseg.geometry import Geometry, significant
from medseg.preprocess.config import PreprocessConfig

Box = tuple[range, range, range]
_MOST_VOXELS = 2**31


def network_grid(geometry: Geometry, config: PreprocessConfig) -> Geometry:
    """The scan's own axes, reoriented and respaced as configured; an oblique scan stays oblique.

    Without an orientation (2D), axes run along R, A and S, and the axis of a single slice comes last; a picture, which
    has no place in a patient, stays as it is stored.

    Raises:
        GeometryError: If the grid would have more than two thousand million voxels, as with a wrong voxel size.
    """
    grid = flat_last(geometry.reoriented("RAS")) if config.axcodes is None else geometry.reoriented(config.axcodes)
    if config.spacing_mm is not None:
        grid = grid.resampled(config.spacing_mm)
    if math.prod(grid.shape) > _MOST_VOXELS:
        raise GeometryError(
            f"the network's grid must have at most {_MOST_VOXELS} voxels, got {grid.shape} for spacing "
            f"{tuple(significant(size, 4) for size in geometry.spacing_mm)} mm",
            remedy="check the voxel size in the header",
        )
    return grid


def flat_last(grid: Geometry) -> Geometry:
    """The grid with the axis of its single slice last, if it has one."""
    if 1 not in grid.shape or grid.shape[2] == 1:
        return grid
    flat = grid.shape.index(1)
    return grid.permuted([axis for axis in range(3) if axis != flat] + [flat])


def box_around(native: Geometry, grid: Geometry) -> Box:
    """Smallest box of a grid's voxels between whose centres all voxel centres of another grid lie, cut at the ends."""
    extents = [range(0)] * 3
    for native_size, axis_map in zip(native.shape, native.axis_maps(grid), strict=True):
        last = grid.shape[axis_map.source_axis] - 1
        ends = sorted((axis_map.offset, axis_map.offset + axis_map.scale * (native_size - 1)))
        low, high = (min(max(end, 0), last) for end in ends)
        extents[axis_map.source_axis] = range(math.floor(low), math.ceil(high) + 1)
    return extents[0], extents[1], extents[2]


def part_of(grid: Geometry, box: Box) -> Geometry:
    """The grid of a box of voxels."""
    for axis, extent in enumerate(box):
        grid = grid.cropped(axis, extent)
    return grid
