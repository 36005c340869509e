"""Structural similarity of two volumes."""

from __future__ import annotations

from math import nan

import numpy as np

from medseg.evaluation.regression.same_grid import check_same_shape
from medseg.records import Array, Mask

WINDOW = 11
_SIGMA_VOXELS = 1.5
_K1, _K2 = 0.01, 0.03
_HALF = WINDOW // 2
_SLAB_VOXELS = 1 << 21  # of a slab with its rim, of which a dozen float64 arrays are held


def ssim(reference: Array, predicted: Array, *, value_range: float, where: Mask | None = None) -> float:
    """Mean structural similarity (SSIM) in Gaussian windows of 11 voxels a side with a standard deviation of 1.5.

    Along an axis of at least 11 voxels, only windows that lie in the scan count; along a shorter one they are cut to
    the scan, and along an axis of one voxel they are flat. Voxels whose reference is not known have no weight in any
    window, and no window is centred there. Without such voxels, and with every axis of at least 11 voxels or of one,
    the value is that of MONAI's `SSIMMetric` and, up to the rim that is left out, of scikit-image's
    `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`.

    Args:
        reference: Values of shape `(I, J, K)`; NaN where they are not known.
        predicted: Values on the same grid.
        value_range: Largest less smallest value that the quantity takes.
        where: Voxels on which windows are centred, bool; all if not given.

    Returns:
        Value from -1 to 1, and 1 for equal volumes; NaN if no window counts, or without a range.

    Raises:
        GeometryError: If the shapes differ.

    Source: Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861, eq. 13, with K1 = 0.01 and K2 = 0.03.
    """
    check_same_shape(reference, predicted, where)
    inner = _inner(where, reference.shape)
    if inner is None or not value_range > 0:
        return nan
    total, count = 0.0, 0
    depth = inner[2].stop - inner[2].start
    plane = np.prod([part.stop - part.start + 2 * _HALF for part in inner[:2]])
    thickness = max(1, int(_SLAB_VOXELS // plane) - 2 * _HALF)
    for start in range(0, depth, thickness):
        first = inner[2].start + start
        slab = (*inner[:2], slice(first, min(first + thickness, inner[2].stop)))
        wide = tuple(
            slice(max(part.start - _HALF, 0), min(part.stop + _HALF, size))
            for part, size in zip(slab, reference.shape, strict=True)
        )
        kept = tuple(slice(part.start - rim.start, part.stop - rim.start) for part, rim in zip(slab, wide, strict=True))
        known = ~np.isnan(reference[wide])
        counted = known[kept] if where is None else known[kept] & where[slab]
        if counted.any():
            similarity = _similarity(reference[wide], predicted[wide], known, value_range)[kept]
            total += float(similarity[counted].sum())
            count += int(np.count_nonzero(counted))
    return total / count if count else nan


def _inner(where: Mask | None, shape: tuple[int, ...]) -> tuple[slice, slice, slice] | None:
    """Box of the voxels on which windows may be centred; None if there are none."""
    parts = []
    for axis, size in enumerate(shape):
        rim = _HALF if size >= WINDOW else 0
        start, stop = rim, size - rim
        if where is not None:
            seen = np.flatnonzero(where.any(axis=tuple(other for other in range(3) if other != axis)))
            start, stop = (max(start, int(seen[0])), min(stop, int(seen[-1]) + 1)) if seen.size else (0, 0)
        parts.append(slice(start, stop))
    return (parts[0], parts[1], parts[2]) if all(part.start < part.stop for part in parts) else None


def _similarity(reference: Array, predicted: Array, known: Mask, value_range: float) -> Array:
    """SSIM in the window round each voxel; windows end at the border."""
    weight = _smoothed(known.astype(np.float64))
    weight[weight == 0] = nan
    x, y = (np.where(known, values, 0).astype(np.float64) for values in (reference, predicted))
    mean_x, mean_y = _smoothed(x) / weight, _smoothed(y) / weight
    spread = _smoothed(x * x) / weight - mean_x**2 + _smoothed(y * y) / weight - mean_y**2
    covariance = _smoothed(x * y) / weight - mean_x * mean_y
    c1, c2 = (_K1 * value_range) ** 2, (_K2 * value_range) ** 2
    brightness = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    similarity: Array = brightness * (2 * covariance + c2) / (spread + c2)
    return similarity


def _smoothed(values: Array) -> Array:
    """Values weighed with the Gaussian window along every axis of more than one voxel, with 0 beyond the border."""
    from scipy import ndimage

    steps = np.arange(-_HALF, _HALF + 1)
    window = np.exp(-(steps**2) / (2 * _SIGMA_VOXELS**2))
    for axis, size in enumerate(values.shape):
        if size > 1:
            values = ndimage.correlate1d(values, window / window.sum(), axis=axis, mode="constant")
    return values
