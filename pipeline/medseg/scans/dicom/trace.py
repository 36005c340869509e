"""Masks to polygons: the inverse of `rasterise`, without a lost or added pixel."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.records import Mask

Points = npt.NDArray[np.float64]
Corners = npt.NDArray[np.int64]
INSET = 0.01  # pixels that a polygon runs within the edges of its pixels
_ROW_OF_BRIDGE = 0.25  # pixels off a row of centres, where no corner of a polygon lies

# The four pixels about a grid point as offsets along both axes, in the order of the bits of its pattern.
_PIXELS = ((0, 0), (1, 0), (0, 1), (1, 1))


class _Cut(NamedTuple):
    """Where a bridge meets an edge: its place along the edge, and the points that the walk arrives at and leaves by."""

    place: float
    arrival: int
    departure: int


def trace_outlines(mask: Mask) -> list[Points]:
    """Polygons along the edges of a mask's pixels, one for each connected piece.

    Every polygon runs a hundredth of a pixel within the edges of its pixels: a reader that tests the centres of pixels
    and one that rounds corners to whole pixels and fills up to them both find the mask. Pixels that touch at a corner
    alone are pieces of their own, so that no two polygons share a point. A hole is joined to the outline about it by a
    bridge of no width, the keyhole of the standard, along which the polygon runs there and back.

    Args:
        mask: Bool, shape `(I, J)`.

    Returns:
        Closed polygons of shape `(N, 2)` in pixel coordinates, centres at whole numbers, without corners on straight
        edges; outlines turn from the first axis towards the second, holes the other way. None for an empty mask.

    Source: PS3.3 C.8.8.6.3 for the keyhole.
    """
    corners = _corners(mask)
    if not len(corners):
        return []
    following = _followed(corners)
    loop = _loops(following)
    points = _placed(corners)
    following, points = _bridged(corners, following, loop, points)
    return [points[members] for members in _walks(following)]


def _corners(mask: Mask) -> Corners:
    """Corners of the pieces, shape `(N, 2)`; 2n is the lower and 2n + 1 the upper side of pixel n.

    A pixel whose two neighbours at a grid point are empty has a corner of its own there; where three of the four pixels
    are set, the one across from the empty pixel has it.
    """
    around = np.pad(mask, 1).astype(np.uint8)
    pattern = around[:-1, :-1] + 2 * around[1:, :-1] + 4 * around[:-1, 1:] + 8 * around[1:, 1:]
    rows, columns = np.nonzero(_HAS_CORNER[pattern])
    codes = pattern[rows, columns]
    found = []
    for bit, (right, up) in enumerate(_PIXELS):
        chosen = _OWNS_CORNER[codes, bit]
        # The pixel at offset 0 lies below the grid point and has its upper side there.
        found.append(np.stack([2 * rows[chosen] - 1 + right, 2 * columns[chosen] - 1 + up], axis=1))
    return np.concatenate(found)


def _owners() -> npt.NDArray[np.bool_]:
    """Whether the pixel of each bit has a corner at a grid point, by the pattern of the four pixels."""
    owns = np.zeros((16, 4), bool)
    for pattern in range(16):
        for bit in range(4):
            is_set = [bool(pattern >> other & 1) for other in range(4)]
            beside = is_set[bit ^ 1], is_set[bit ^ 2]
            across = is_set[bit ^ 3]
            owns[pattern, bit] = is_set[bit] and (not any(beside) or (all(beside) and not across))
    return owns


_OWNS_CORNER = _owners()
_HAS_CORNER: npt.NDArray[np.bool_] = np.asarray(_OWNS_CORNER.any(axis=1))


def _followed(corners: Corners) -> npt.NDArray[np.int64]:
    """Number of the corner that follows each one; the piece lies on the left of the way.

    Along a side of a column or row of pixels, corners are the ends of edges in turn.
    """
    following = np.empty(len(corners), np.int64)
    for axis, is_upwards in ((0, 1), (1, 0)):
        order = np.lexsort((corners[:, 1 - axis], corners[:, axis]))
        low, high = order[::2], order[1::2]
        rises = corners[low, axis] % 2 == is_upwards
        following[low[rises]] = high[rises]
        following[high[~rises]] = low[~rises]
    return following


def _loops(following: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number of the loop that each corner is part of."""
    loop = np.empty(len(following), np.int64)
    for number, members in enumerate(_walks(following)):
        loop[members] = number
    return loop


def _walks(following: npt.NDArray[np.int64]) -> list[list[int]]:
    """Corners of each loop in the order of the way."""
    steps: list[int] = following.tolist()
    walks = []
    for start in range(len(steps)):
        if steps[start] < 0:
            continue
        walk, place = [], start
        while steps[place] >= 0:
            walk.append(place)
            steps[place], place = -1, steps[place]
        walks.append(walk)
    return walks


def _placed(corners: Corners) -> Points:
    """Corners in pixel coordinates."""
    return np.asarray(corners // 2 + np.where(corners % 2, 0.5 - INSET, INSET - 0.5), np.float64)


def _bridged(
    corners: Corners, following: npt.NDArray[np.int64], loop: npt.NDArray[np.int64], points: Points
) -> tuple[npt.NDArray[np.int64], Points]:
    """The way with a bridge from every hole to what lies before it along the first axis, and its new points."""
    start = np.flatnonzero(corners[:, 0] == corners[following, 0])  # edges along the second axis
    side = corners[start, 0]
    ends = np.sort(np.stack([corners[start, 1], corners[following[start], 1]], axis=1) // 2, axis=1)
    new: list[tuple[float, float]] = []
    cuts: dict[int, list[_Cut]] = defaultdict(list)
    for edge in _first_edges_of_holes(start, side, following, loop):
        row = int(ends[edge, 0])
        before = np.flatnonzero((side < side[edge]) & (ends[:, 0] <= row) & (row <= ends[:, 1]))
        target = int(before[side[before] == side[before].max()][0])
        number, place = len(points) + len(new), row + _ROW_OF_BRIDGE
        here, there = (float(points[start[one], 0]) for one in (edge, target))
        new += [(here, place), (here, place), (there, place), (there, place)]
        following = np.concatenate([following, [number + 3, 0, number + 1, 0]])
        cuts[int(start[edge])].append(_Cut(place, number, number + 1))
        cuts[int(start[target])].append(_Cut(place, number + 2, number + 3))
    for first, met in cuts.items():
        last = following[first]
        at = first
        for cut in sorted(met, reverse=bool(corners[first, 1] > corners[last, 1])):
            following[at] = cut.arrival
            at = cut.departure
        following[at] = last
    return following, np.concatenate([points, np.array(new).reshape(-1, 2)])


def _first_edges_of_holes(
    start: npt.NDArray[np.int64],
    side: npt.NDArray[np.int64],
    following: npt.NDArray[np.int64],
    loop: npt.NDArray[np.int64],
) -> list[int]:
    """Number of the first edge along the first axis of each hole; that of a hole is the upper side of pixels."""
    order = np.lexsort((start, side))
    _, first = np.unique(loop[start[order]], return_index=True)
    edges = order[first]
    return [int(edge) for edge in edges if side[edge] % 2]
