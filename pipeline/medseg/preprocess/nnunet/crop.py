"""The part of a scan that nnU-Net sees: the box of all voxels that are not 0."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medseg.preprocess.grid import Box
from medseg.records import Array, Mask


def nonzero_box(array: Array) -> Box:
    """Smallest box of the voxels that are not 0 in some channel; all of a scan that is 0 everywhere.

    nnU-Net fills the holes of these voxels first, which changes no box.

    Args:
        array: Shape `(C, I, J, K)`.
    """
    columns = np.zeros(array.shape[1:3], bool)
    layers = np.zeros(array.shape[3], bool)
    for channel in array:
        for plane, row in zip(channel, columns, strict=True):
            filled = plane != 0
            row |= filled.any(axis=1)
            layers |= filled.any(axis=0)
    rows: tuple[Mask, Mask, Mask] = np.any(columns, axis=1), np.any(columns, axis=0), layers
    i, j, k = map(_extent, rows)
    return i, j, k


def nonzero_region(array: Array) -> Mask:
    """Voxels that are not 0 in some channel, with the holes among them filled, `(I, J, K)`.

    Args:
        array: Shape `(C, I, J, K)`.
    """
    region: Mask = np.any(array != 0, axis=0)
    pieces, count = ndimage.label(~region)
    is_hole = np.ones(count + 1, bool)
    for axis in range(3):
        for end in (0, -1):
            is_hole[np.unique(pieces.take(end, axis=axis))] = False
    is_hole[0] = True  # the region itself
    return np.asarray(is_hole[pieces])


def _extent(found: Mask) -> range:
    places = np.flatnonzero(found)
    return range(int(places[0]), int(places[-1]) + 1) if len(places) else range(len(found))
