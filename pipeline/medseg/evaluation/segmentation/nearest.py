"""Distances from the points of one surface to the nearest point of another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby, product

import numpy as np

from medseg.records import Array, Mask

_NEAR_OFFSETS = 400
_MANY = 20_000


def nearest_distances(points: Mask, targets: Mask, *, spacing_mm: Sequence[float]) -> Array:
    """Distance of every point to the nearest target, in millimetres.

    Two surfaces that somebody compares are near each other nearly everywhere. So the neighbours of all points are
    looked up together, offset by offset in the order of their length; only what is not found among the first few
    hundred is searched for in a tree, or, if that is much, by a distance transform of the whole box.

    Args:
        points: Points, bool, of any number of axes.
        targets: Targets on the same grid, at least one.
        spacing_mm: Voxel size along each axis.

    Returns:
        Distances in the order of `np.nonzero(points)`, float64.
    """
    reach, steps = _offsets(tuple(float(mm) for mm in spacing_mm))
    width = [(most, most) for most in reach]
    held = np.pad(targets, width).ravel()
    shape = [size + 2 * most for size, most in zip(points.shape, reach, strict=True)]
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    at = np.flatnonzero(np.pad(points, width))
    found = np.full(len(at), np.nan)
    left = np.arange(len(at))
    for distance, offsets in steps:
        if not len(left):
            return found
        places = at[left]
        hit = held[places + _flat(offsets[0], strides)]
        for offset in offsets[1:]:
            hit |= held[places + _flat(offset, strides)]
        found[left[hit]] = distance
        left = left[~hit]
    if len(left):
        found[left] = _far(points, targets, left, spacing_mm)
    return found


def _flat(offset: Sequence[int], strides: Sequence[int]) -> int:
    return sum(step * stride for step, stride in zip(offset, strides, strict=True))


def _far(points: Mask, targets: Mask, left: Array, spacing_mm: Sequence[float]) -> Array:
    """Distances of some of the points, by their places in the order of all."""
    if len(left) > _MANY:
        import edt

        away = edt.edt(np.logical_not(targets), anisotropy=tuple(spacing_mm), parallel=0)
        return np.asarray(away[points][left], dtype=np.float64)
    from scipy.spatial import KDTree

    size = np.asarray(spacing_mm)
    tree = KDTree(np.argwhere(targets) * size)
    distances, _ = tree.query(np.argwhere(points)[left] * size, workers=-1)
    return np.asarray(distances)


@lru_cache(maxsize=64)
def _offsets(spacing: tuple[float, ...]) -> tuple[tuple[int, ...], list[tuple[float, list[tuple[int, ...]]]]]:
    """Steps to the nearest voxels, by rising distance, and how far they reach along each axis.

    They are all the voxels within a radius, so that one which is found is the nearest.
    """
    axes = len(spacing)
    ball = math.pi ** (axes / 2) / math.gamma(axes / 2 + 1)
    radius = (_NEAR_OFFSETS * math.prod(spacing) / ball) ** (1 / axes)
    reach = tuple(int(radius / mm) for mm in spacing)
    every = product(*(range(-most, most + 1) for most in reach))
    measured = ((math.hypot(*(n * mm for n, mm in zip(offset, spacing, strict=True))), offset) for offset in every)
    inside = sorted(one for one in measured if one[0] <= radius)
    steps = [(distance, [offset for _, offset in group]) for distance, group in groupby(inside, key=lambda one: one[0])]
    return reach, steps
