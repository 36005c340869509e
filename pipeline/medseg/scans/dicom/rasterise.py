"""Polygons to masks: a voxel belongs to a contour if its centre lies inside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medseg.records import Mask

Points = npt.NDArray[np.float64]
_SNAP = 1e-7  # pixels: the rounding error of the way to millimetres and back


def fill_even_odd(polygons: Sequence[Points], shape: tuple[int, int]) -> Mask:
    """Pixels whose centres lie inside an odd number of polygons: inner polygons and keyholes are holes.

    A centre that lies on an edge counts as inside on the lower and as outside on the higher side, along both axes, so
    that polygons which share an edge share no pixel.

    Args:
        polygons: Closed polygons, each of shape `(N, 2)`, in pixel coordinates: centres at whole numbers.
        shape: Shape of the mask.

    Source: even-odd rule; PS3.3 C.8.8.6.3 for inner and outer contours.
    """
    height, width = shape
    crossings = np.zeros((height, width + 1), np.int32)
    for polygon in polygons:
        _count_crossings(np.round(polygon / _SNAP) * _SNAP, crossings)
    mask: Mask = (np.cumsum(crossings, axis=1)[:, :width] % 2).astype(bool)
    return mask


def _count_crossings(polygon: Points, crossings: npt.NDArray[np.int32]) -> None:
    """Count each edge's crossing of each row of pixels at the first pixel at or beyond it."""
    height, width = crossings.shape[0], crossings.shape[1] - 1
    start, end = polygon, np.roll(polygon, -1, axis=0)
    low, high = np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0])
    first = np.clip(np.ceil(low), 0, height).astype(np.int64)
    last = np.clip(np.ceil(high), 0, height).astype(np.int64)  # half-open: the higher end belongs to the next edge
    counts = np.maximum(last - first, 0)
    edge = np.repeat(np.arange(len(polygon)), counts)
    row = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    share = (row - start[edge, 0]) / (end[edge, 0] - start[edge, 0])
    column = start[edge, 1] + share * (end[edge, 1] - start[edge, 1])
    place = np.clip(np.ceil(np.round(column / _SNAP) * _SNAP), 0, width).astype(np.int64)
    np.add.at(crossings, (row, place), 1)
