"""Longest diameters of a structure, in three dimensions and in a slice."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from medseg.geometry import Triple
from medseg.records import Mask

Points = npt.NDArray[np.float64]
_FLAT = 1e-9  # of the largest extent: what rounding leaves of an extent of 0
_ROWS = 1000  # points whose distances to all others are held at once


class Diameters(NamedTuple):
    """Longest diameters between voxel centres, in millimetres.

    Attributes:
        longest_mm: In three dimensions.
        in_slice_mm: In one slice along k, the longest of all slices.
        perpendicular_mm: Longest chord at a right angle to it, in the same slice.
        slice_index: Index of that slice.
    """

    longest_mm: float
    in_slice_mm: float
    perpendicular_mm: float
    slice_index: int


def diameters(mask: Mask, spacing_mm: Triple) -> Diameters:
    """Measure the longest diameters of a structure, exactly.

    The two points that lie farthest apart are corners of the convex hull, so that only these are compared. All parts
    of the structure count as one.

    Args:
        mask: Voxels of the structure, shape `(I, J, K)`, at least one of them.
        spacing_mm: Voxel size along `(i, j, k)`.

    Source: Eisenhauer et al. 2009, https://doi.org/10.1016/j.ejca.2008.10.026, for the diameter in a slice; WHO 1979,
        https://apps.who.int/iris/handle/10665/37200, for the one at a right angle to it.
    """
    spacing = np.array(spacing_mm)
    corners = _hull(_extreme_voxels(mask) * spacing)
    longest = _farthest(corners)[0]
    flat = {int(k): np.argwhere(mask[:, :, k]) * spacing[:2] for k in np.flatnonzero(mask.any(axis=(0, 1)))}
    bounds = {k: float(np.linalg.norm(np.ptp(points, axis=0))) for k, points in flat.items()}
    best, index = -1.0, 0
    for k in sorted(bounds, key=lambda one: (-bounds[one], one)):
        if bounds[k] <= best:
            break
        found = _farthest(_hull(flat[k]))[0]
        if found > best:
            best, index = found, k
    return Diameters(longest, best, _perpendicular(_hull(flat[index])), index)


def _extreme_voxels(mask: Mask) -> Points:
    """Indices of the voxels that are first or last on their lines along all three axes, shape `(N, 3)`."""
    kept = np.argwhere(_ends(mask, 2))
    for axis in (0, 1):
        if len(kept):
            kept = kept[_ends(mask, axis)[tuple(kept.T)]]
    return kept.astype(np.float64)


def _ends(mask: Mask, axis: int) -> Mask:
    """The first and the last voxel of the structure on every line along an axis."""
    size = mask.shape[axis]
    places = np.expand_dims(np.arange(size), [n for n in range(3) if n != axis])
    first = np.expand_dims(mask.argmax(axis=axis), axis)
    last = np.expand_dims(size - 1 - np.flip(mask, axis).argmax(axis=axis), axis)
    return np.asarray(mask & ((places == first) | (places == last)))


def _hull(points: Points) -> Points:
    """Corners of the convex hull, in order round it if it is flat; the ends of a line; one point for one."""
    centred = points - points.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    rank = int((sizes > _FLAT * max(float(sizes[0]), _FLAT)).sum())
    if rank == 0:
        return points[:1]
    inside = centred @ directions[:rank].T
    if rank == 1:
        order = inside[:, 0].argsort()
        return points[[order[0], order[-1]]]
    return np.asarray(points[ConvexHull(inside).vertices])


def _farthest(points: Points) -> tuple[float, int, int]:
    """Largest distance between two points, and the two."""
    best = (0.0, 0, 0)
    for start in range(0, len(points), _ROWS):
        distances = cdist(points[start : start + _ROWS], points)
        row, column = divmod(int(distances.argmax()), len(points))
        if distances[row, column] > best[0]:
            best = float(distances[row, column]), start + row, column
    return best


def _perpendicular(corners: Points) -> float:
    """Longest chord of a flat outline at a right angle to its longest diameter.

    The length of such chords is concave along the diameter and linear between corners, so that the longest one goes
    through a corner.
    """
    longest, one, other = _farthest(corners)
    if longest == 0 or len(corners) < 3:
        return 0.0
    along = (corners[other] - corners[one]) / longest
    t = corners @ along
    v = corners @ np.array([-along[1], along[0]])
    chords = []
    for place in t:
        crossings = _crossings(t, v, float(place), longest * _FLAT)
        chords.append(float(crossings.max() - crossings.min()))
    return max(chords)


def _crossings(t: Points, v: Points, place: float, tolerance: float) -> Points:
    """Heights at which the edges of an outline cross a line across it; its corners follow one another."""
    t_next, v_next = np.roll(t, -1), np.roll(v, -1)
    on_edge = (np.minimum(t, t_next) <= place + tolerance) & (np.maximum(t, t_next) >= place - tolerance)
    step = np.where(np.abs(t_next - t) > tolerance, t_next - t, np.inf)
    fraction = np.clip((place - t) / step, 0, 1)
    crossed = (v + fraction * (v_next - v))[on_edge]
    upright = on_edge & np.isinf(step)
    return np.concatenate([crossed, v_next[upright]])
