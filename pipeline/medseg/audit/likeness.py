"""Likeness of two small images, once they are aligned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from medseg.records import Array, Mask

_STEPS = (0.05, 0.025, 0.0125)
_DETAIL = 8
_PICTURE_DETAIL = 24
_SURELY_INSIDE = 0.99
_LEAST_SHARED = 0.1

Window = tuple[float, float]


def likeness(one: Array, other: Array) -> float:
    """Correlation of the fine structure of two small images, at the best crop of the second.

    Structure coarser than an eighth of the field of view, or a 24th of a picture's, is removed first, since it is
    anatomy that all patients share. Then the ends of the second image's field of view are moved, axis by axis, by up to
    9 % of it. Frames do not count: pictures are compared inside of theirs, and volumes must agree inside, too.

    Args:
        one: First image, from `shrink`.
        other: Second image, of the same shape.

    Returns:
        Value in [-1, 1].
    """
    target, moved = _Image.of(one), _Image.of(other)
    is_picture = one.shape[2] == 1
    windows: list[Window] = [(0.0, 0.0)] * 3
    best = _agreement(target, moved, within=is_picture)
    axes = [axis for axis in range(3) if one.shape[axis] > 1]
    for step, axis in product(_STEPS, axes):
        low, high = windows[axis]
        for at_low, at_high in product((-step, 0.0, step), repeat=2):
            tried = [*windows[:axis], (low + at_low, high + at_high), *windows[axis + 1 :]]
            found = _agreement(target, moved.cropped(tried), within=is_picture)
            if found > best:
                best, windows = found, tried
    return best if is_picture else min(best, _agreement(target, moved.cropped(windows), within=True))


@dataclass(frozen=True, slots=True)
class _Image:
    """A small image, and how much of each of its voxels lies inside its frame; None for all."""

    values: Array
    inside: Array | None

    @classmethod
    def of(cls, small: Array) -> _Image:
        values = np.ma.getdata(small).astype(np.float32)
        return cls(values, None if not np.ma.is_masked(small) else (~np.ma.getmaskarray(small)).astype(np.float32))

    def cropped(self, windows: list[Window]) -> _Image:
        return _Image(_crop(self.values, windows), None if self.inside is None else _crop(self.inside, windows))


def _agreement(one: _Image, other: _Image, *, within: bool) -> float:
    """Correlation of the fine structure of aligned images, within their frames if asked and if enough lies there."""
    frames = [image.inside for image in (one, other) if image.inside is not None]
    inside = np.prod(frames, axis=0) > _SURELY_INSIDE if frames and within else None
    if inside is not None and inside.mean() < _LEAST_SHARED:
        inside = None
    return float(_fine(one.values, inside) @ _fine(other.values, inside))


def _fine(small: Array, inside: Mask | None) -> Array:
    """The structure finer than an eighth of the field of view, as a vector of mean 0 and length 1."""
    from scipy.ndimage import gaussian_filter

    detail = _PICTURE_DETAIL if small.shape[2] == 1 else _DETAIL
    widths = [n / detail if n > 1 else 0 for n in small.shape]
    if inside is None:
        fine = (small - gaussian_filter(small, widths)).ravel()
    else:
        weight = inside.astype(np.float32)
        near = gaussian_filter(small * weight, widths) / np.maximum(gaussian_filter(weight, widths), 1e-6)
        fine = (small - near)[inside]
    fine = fine - fine.mean()
    return np.asarray(fine / max(float(np.linalg.norm(fine)), 1e-9))


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
