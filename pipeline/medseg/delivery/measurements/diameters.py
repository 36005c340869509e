"""Longest diameters of a structure, in three dimensions and in a slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from medseg.geometry import Triple
from medseg.records import Mask

Points = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
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
    mask = np.ascontiguousarray(mask)  # searched eight times as fast as in Fortran's order
    lines = [_Lines.of(mask, axis) for axis in range(3)]
    corners = _hull(_extreme_voxels(lines) * spacing)
    longest = _farthest(corners)[0]
    flat = {k: _outline(lines[0], k) * spacing[:2] for k in np.flatnonzero(lines[0].is_met.any(axis=0)).tolist()}
    bounds = {k: float(np.linalg.norm(np.ptp(points, axis=0))) for k, points in flat.items()}
    best, index = -1.0, 0
    for k in sorted(bounds, key=lambda one: (-bounds[one], one)):
        if bounds[k] <= best:
            break
        found = _farthest(_hull(flat[k]))[0]
        if found > best:
            best, index = found, k
    return Diameters(longest, best, _perpendicular(_hull(flat[index])), index)


class _Lines(NamedTuple):
    """Where the lines of a grid along one axis meet a structure first and last.

    Attributes:
        first: Index of the first voxel on each line, of the shape of the other two axes.
        last: Index of the last voxel.
        is_met: Whether the line meets the structure.
    """

    first: Indices
    last: Indices
    is_met: Mask

    @classmethod
    def of(cls, mask: Mask, axis: int) -> _Lines:
        """The lines along an axis of a mask."""
        last = mask.shape[axis] - 1 - np.flip(mask, axis).argmax(axis=axis)
        return cls(mask.argmax(axis=axis), last, np.asarray(mask.any(axis=axis)))


def _extreme_voxels(lines: Sequence[_Lines]) -> Points:
    """Indices of the voxels that are first or last on their lines along all three axes, shape `(N, 3)`."""
    i, j = np.nonzero(lines[2].is_met)
    ends = [np.stack([i, j, end[i, j]], axis=1) for end in (lines[2].first, lines[2].last)]
    kept = np.concatenate(ends)
    for axis in (0, 1):
        line = tuple(np.delete(kept, axis, axis=1).T)
        place = kept[:, axis]
        kept = kept[(place == lines[axis].first[line]) | (place == lines[axis].last[line])]
    return kept.astype(np.float64)


def _outline(lines: _Lines, k: int) -> Points:
    """First and last voxels of a slice on its lines along i, shape `(N, 2)`; its hull is that of all voxels."""
    j = np.flatnonzero(lines.is_met[:, k])
    ends = [np.stack([end[j, k], j], axis=1) for end in (lines.first, lines.last)]
    return np.concatenate(ends).astype(np.float64)


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
