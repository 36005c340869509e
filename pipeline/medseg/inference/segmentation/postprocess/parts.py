"""The connected parts and the holes of a structure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.records import Mask

Box = tuple[slice, ...]


class Parts(NamedTuple):
    """Connected parts of a structure.

    Attributes:
        box: Smallest box that holds the structure.
        numbers: Number of the part at each voxel of the box, from 1; 0 outside.
        voxels: Count of the voxels of each part.
    """

    box: Box
    numbers: npt.NDArray[np.int32]
    voxels: npt.NDArray[np.int64]


def numbered_parts(where: Mask) -> Parts:
    """Parts of a structure; voxels that share a face, an edge or a corner belong together (26 neighbours, in 2D 8).

    Args:
        where: Voxels of the structure, bool, shape `(I, J, K)`.
    """
    from scipy import ndimage

    box = box_of(where)
    numbers, count = ndimage.label(where[box], structure=np.ones((3,) * where.ndim))
    voxels = np.bincount(np.asarray(numbers).ravel(), minlength=count + 1)[1:]
    return Parts(box, np.asarray(numbers, np.int32), voxels.astype(np.int64))


def holes(where: Mask) -> Mask:
    """Voxels outside a structure from which no way over faces leads to the border of the scan.

    In a picture, or a scan of a single slice, the way stays in the plane.

    Args:
        where: Voxels of the structure, bool, shape `(I, J, K)`.

    Returns:
        Bool, of the same shape.
    """
    from scipy import ndimage

    found = np.zeros_like(where)
    box = box_of(where)
    flat = tuple(axis for axis, size in enumerate(where.shape) if size == 1)
    inside = where[box]
    if inside.size:
        filled = np.asarray(ndimage.binary_fill_holes(inside.squeeze(flat))).reshape(inside.shape)
        found[box] = filled & ~inside
    return found


def rimmed(box: Box | None, shape: tuple[int, ...]) -> Box:
    """A box with a rim of a voxel within the grid, so that what is thin does not pass for a scan of a single slice.

    Args:
        box: Box of a structure; None where it has no voxel, which gives the first voxel of the grid.
        shape: Voxels of the grid.
    """
    if box is None:
        return (slice(0, 1),) * len(shape)
    return tuple(slice(max(0, s.start - 1), min(size, s.stop + 1)) for s, size in zip(box, shape, strict=True))


def box_of(where: Mask) -> Box:
    """Smallest box of the voxels that are true; empty where none is."""
    axes = range(where.ndim)
    filled = [np.flatnonzero(where.any(axis=tuple(other for other in axes if other != axis))) for axis in axes]
    return tuple(slice(int(one[0]), int(one[-1]) + 1) if len(one) else slice(0, 0) for one in filled)
