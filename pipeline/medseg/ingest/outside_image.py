"""Labelled voxels of a mask file that its image has no place for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from medseg.geometry import Geometry
from medseg.records import Labelmap, Mask

_EDGE = 0.5 + 1e-3  # voxels from the outermost centres to the image's edge, and rounding
_PART = 1 << 20  # voxels


def voxels_outside(mask: Labelmap, own: Geometry, grid: Geometry) -> Counter[int]:
    """Voxels of each value but 0 whose centres lie outside an image.

    Args:
        mask: Label values of shape `(I, J, K)`.
        own: Grid of the mask.
        grid: Grid of the image.
    """
    outside: Counter[int] = Counter()
    if _are_inside(grid.voxels(own.corners_mm()), grid).all():
        return outside
    step = max(1, _PART * len(mask) // max(mask.size, 1))
    for first in range(0, len(mask), step):  # in parts, since coordinates take 24 bytes per voxel
        part = mask[first : first + step]
        places = np.argwhere(part)
        lost = places[~_are_inside(grid.voxels(own.world_mm(places + np.array([first, 0.0, 0.0]))), grid)]
        values, counts = np.unique(part[tuple(lost.T)], return_counts=True)
        outside.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    return outside


def outside_note(mask: Labelmap, values: Collection[int], outside: Counter[int]) -> tuple[str, ...]:
    """A note on the voxels of some values that lie outside the image; none if all lie inside.

    Args:
        mask: Label values on the mask's own grid.
        values: Values of one structure.
        outside: Voxels of each value that lie outside.
    """
    lost = sum(outside[value] for value in values)
    if not lost:
        return ()
    return (f"{lost} of {np.count_nonzero(np.isin(mask, list(values)))} labelled voxels lie outside the image",)


def _are_inside(voxels: npt.NDArray[np.float64], grid: Geometry) -> Mask:
    return np.asarray(((voxels >= -_EDGE) & (voxels <= np.array(grid.shape) - 1 + _EDGE)).all(axis=-1))
