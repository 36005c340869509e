"""Likeness of two small images, once they are aligned."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

from medseg.records import Array

_STEPS = (0.05, 0.025, 0.0125)
_DETAIL = 8

Window = tuple[float, float]


def likeness(one: Array, other: Array) -> float:
    """Correlation of the fine structure of two small images, at the best crop of the second.

    Structure coarser than an eighth of the field of view is removed first, since it is anatomy that all patients share.
    Then the ends of the second image's field of view are moved, axis by axis, by up to 9 % of it.

    Args:
        one: First image, from `shrink`.
        other: Second image, of the same shape.

    Returns:
        Value in [-1, 1].
    """
    target, moved = _fine(one.astype(np.float32)), other.astype(np.float32)
    windows: list[Window] = [(0.0, 0.0)] * 3
    best = float(target @ _fine(moved))
    axes = [axis for axis in range(3) if one.shape[axis] > 1]
    for step, axis in product(_STEPS, axes):
        low, high = windows[axis]
        for at_low, at_high in product((-step, 0.0, step), repeat=2):
            tried = [*windows[:axis], (low + at_low, high + at_high), *windows[axis + 1 :]]
            found = float(target @ _fine(_crop(moved, tried)))
            if found > best:
                best, windows = found, tried
    return best


def _fine(small: Array) -> Array:
    """The structure finer than an eighth of the field of view, as a vector of mean 0 and length 1."""
    from scipy.ndimage import gaussian_filter

    widths = [n / _DETAIL if n > 1 else 0 for n in small.shape]
    fine = small - gaussian_filter(small, widths)
    fine -= fine.mean()
    return np.asarray(fine / max(float(np.linalg.norm(fine)), 1e-9)).ravel()


def _crop(small: Array, windows: list[Window]) -> Array:
    """The part of an image inside the windows, at the old size; beyond its edge the edge is repeated."""
    for axis, window in enumerate(windows):
        if small.shape[axis] > 1 and window != (0.0, 0.0):
            weights = _window_weights(small.shape[axis], window)
            small = np.moveaxis(np.tensordot(weights, small, axes=(1, axis)), 0, axis)
    return small


@lru_cache(maxsize=4096)
def _window_weights(n: int, window: Window) -> Array:
    """Weights of a linear interpolation from n voxels to n voxels in a window of the field of view, `(n, n)`."""
    low, high = window
    places = np.clip((np.arange(n) + 0.5) * (1 + high - low) + low * n - 0.5, 0, n - 1)
    before = np.minimum(places.astype(int), n - 2)
    weights = np.zeros((n, n), np.float32)
    weights[np.arange(n), before] = 1 - (places - before)
    weights[np.arange(n), before + 1] += places - before
    return weights
