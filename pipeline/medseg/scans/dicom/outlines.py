"""Outlines of one structure in one plane as one area: holes, copies, and outlines that cross each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.records import Mask
from medseg.scans.dicom.rasterise import fill_even_odd

Points = npt.NDArray[np.float64]
_SAMPLES = 8  # per pixel and axis, by which outlines are compared
_MOST_SAMPLES = 512  # along an axis of the larger areas
_MARGIN = 2.0  # pixels about the smaller outline, beyond which the larger one need not be looked at
_OFF_GRID = 0.0371  # pixels: outlines often follow the pixels' centres or edges, where a sample may fall on either side
_EDGE = 0.1  # pixels that an outline of the whole slice may leave it by
_ROUNDING = (
    0.02  # pixels that an outline may leave another one by, on average along its length, since points are rounded
)


class Area(NamedTuple):
    """The area of all outlines in a plane.

    Attributes:
        mask: Pixels whose centres lie inside, shape as asked.
        crossing: Number of outlines that cross another one and were joined with it.
        copies: Number of outlines that are copies of others.
        empty: Number of outlines within the mask that hold no pixel centre.
        outside: Number of outlines that lie outside the mask.
        cut: Number of outlines that lie partly outside the mask.
    """

    mask: Mask
    crossing: int = 0
    copies: int = 0
    empty: int = 0
    outside: int = 0
    cut: int = 0


def area_of(outlines: Sequence[Points], shape: tuple[int, int], *, is_xor: bool) -> Area:
    """Join outlines, but cut out an outline that lies inside another one.

    Args:
        outlines: Closed polygons of shape `(N, 2)` in pixel coordinates: centres at whole numbers.
        shape: Shape of the mask.
        is_xor: Whether the file asks for pixels inside an odd number of outlines, whatever their places.

    Source: PS3.3 C.8.8.6.1 and C.8.8.6.3.
    """
    fates = Counter(_fate(outline, shape) for outline in outlines)
    counts = {kind: fates[kind] for kind in ("empty", "outside", "cut")}
    if is_xor or len(outlines) == 1:
        return Area(fill_even_odd(outlines, shape), **counts)
    copies, groups = _grouped(outlines)
    crossing = sum(len(group) for group in groups if len(group) > 1)
    if not crossing:
        return Area(fill_even_odd([outlines[group[0]] for group in groups], shape), copies=copies, **counts)
    mask = np.zeros(shape, bool)
    for group in groups:
        mask ^= np.logical_or.reduce([fill_even_odd([outlines[one]], shape) for one in group])
    return Area(mask, crossing, copies, **counts)


def _fate(outline: Points, shape: tuple[int, int]) -> str:
    """Whether an outline lies `outside` a mask, is `cut` by its edge, is `empty` or is `whole`."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    first, last = -0.5, np.array(shape) - 0.5
    if (high <= first).any() or (low >= last).any():
        return "outside"
    if (low < first - _EDGE).any() or (high > last + _EDGE).any():
        return "cut"
    corner = np.floor(low)
    size = np.ceil(high - corner).astype(int) + 1
    return "whole" if fill_even_odd([outline - corner], (int(size[0]), int(size[1]))).any() else "empty"


def _grouped(outlines: Sequence[Points]) -> tuple[int, list[list[int]]]:
    """Number of copies, and the other outlines in groups of those that cross each other."""
    same: set[int] = set()
    group = list(range(len(outlines)))
    for one, other in _near_pairs(outlines):
        if one in same or other in same:
            continue
        relation = _relation(outlines[one], outlines[other])
        if relation == "same":
            same.add(max(one, other))
        elif relation == "cross":
            joined = {group[one], group[other]}
            group = [min(joined) if number in joined else number for number in group]
    members: dict[int, list[int]] = {}
    for place, number in enumerate(group):
        if place not in same:
            members.setdefault(number, []).append(place)
    return len(same), list(members.values())


def _near_pairs(outlines: Sequence[Points]) -> Iterator[tuple[int, int]]:
    """Outlines whose bounding boxes meet."""
    low = np.array([outline.min(axis=0) for outline in outlines])
    high = np.array([outline.max(axis=0) for outline in outlines])
    for one in range(len(outlines)):
        meets = ((low[one] < high[one + 1 :]) & (low[one + 1 :] < high[one])).all(axis=1)
        yield from ((one, one + 1 + int(place)) for place in np.flatnonzero(meets))


def _relation(one: Points, other: Points) -> str:
    """`same`, `nested`, `apart` or `cross`, by the areas that two outlines share and do not share."""
    small, large = sorted((one, other), key=lambda outline: float(np.ptp(outline, axis=0).prod()))
    low = np.maximum(small.min(axis=0) - _MARGIN, large.min(axis=0).clip(max=small.min(axis=0)))
    high = np.minimum(small.max(axis=0) + _MARGIN, large.max(axis=0).clip(min=small.max(axis=0)))
    scale = float(np.clip(_MOST_SAMPLES / float((high - low).max()), 1, _SAMPLES))
    first, second = _sampled((small, large), low - _OFF_GRID, high, scale)
    shared, only_small, only_large = (
        float(np.count_nonzero(part)) / scale**2 for part in (first & second, first & ~second, second & ~first)
    )
    if (large.min(axis=0) < low).any() or (large.max(axis=0) > high).any():
        only_large = float("inf")
    slack = _ROUNDING * min(_length(small), _length(large))
    if only_small <= slack < shared and only_large <= slack:
        return "same"
    if shared <= slack and not np.logical_and(*_sampled((small, large), np.floor(low), high, 1.0)).any():
        return "apart"
    return "nested" if min(only_small, only_large) <= slack else "cross"


def _sampled(outlines: Sequence[Points], low: Points, high: Points, scale: float) -> list[Mask]:
    """Outlines between two corners as masks with `scale` samples per pixel and axis."""
    size = np.ceil((high - low) * scale).astype(int) + 1
    return [fill_even_odd([(outline - low) * scale], (int(size[0]), int(size[1]))) for outline in outlines]


def _length(outline: Points) -> float:
    return float(np.linalg.norm(outline - np.roll(outline, -1, axis=0), axis=1).sum())
