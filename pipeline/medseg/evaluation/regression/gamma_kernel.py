"""The compiled search of the gamma pass rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from medseg.compiled import compiled

_LIMIT = 1 + 1e-5  # doses may be of single precision


@compiled
def count_passing(
    reference: Any, predicted: Any, counted: Any, distances: Any, corners: Any, weights: Any, allowed: float
) -> int:
    """Number of voxels with gamma of at most 1.

    Args:
        reference: Dose, float32, shape `(I, J, K)`.
        predicted: Dose on the same grid, float32.
        counted: Voxels that are searched for, bool.
        distances: Squared distance of each point of the search, in units of the allowed one, rising, shape `(N,)`.
        corners: Voxel before each point, relative to the searched one, shape `(N, 3)`.
        weights: Place of each point between that voxel and the next along each axis, shape `(N, 3)`.
        allowed: Allowed difference of the dose; if negative, the share of the voxel's own dose.
    """
    shape = reference.shape
    reach = np.zeros(3, np.int64)
    for axis in range(3):
        for n in range(len(distances)):
            reach[axis] = max(reach[axis], -corners[n, axis], corners[n, axis] + (weights[n, axis] > 0))
    passing = 0
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(shape[2]):
                if not counted[i, j, k]:
                    continue
                dose = float(reference[i, j, k])
                limit = allowed if allowed >= 0 else -allowed * dose
                if abs(predicted[i, j, k] - dose) <= limit * _LIMIT:
                    passing += 1
                    continue
                if not _may_pass(predicted, i, j, k, reach, dose - limit * _LIMIT, dose + limit * _LIMIT):
                    continue
                if limit > 0 and _passes(predicted, i, j, k, dose, limit, distances, corners, weights):
                    passing += 1
    return passing


@compiled
def _may_pass(predicted: Any, i: int, j: int, k: int, reach: Any, low: float, high: float) -> bool:
    """Whether voxels within reach leave values between them that are allowed: interpolation leaves no value else."""
    least, most = math.inf, -math.inf
    for a in range(max(i - reach[0], 0), min(i + reach[0] + 1, predicted.shape[0])):
        for b in range(max(j - reach[1], 0), min(j + reach[1] + 1, predicted.shape[1])):
            for c in range(max(k - reach[2], 0), min(k + reach[2] + 1, predicted.shape[2])):
                value = float(predicted[a, b, c])
                if value < least:
                    least = value
                if value > most:
                    most = value
    return least <= high and most >= low


@compiled
def _passes(
    predicted: Any, i: int, j: int, k: int, dose: float, limit: float, distances: Any, corners: Any, weights: Any
) -> bool:
    """Whether a point of the search has gamma of at most 1, or two of them have the voxel's dose between them.

    The interpolated dose is continuous and the ball of the search convex, so that the dose itself is found on the line
    between two such points.
    """
    is_lower = is_higher = False
    for n in range(len(distances)):
        a, b, c = i + corners[n, 0], j + corners[n, 1], k + corners[n, 2]
        u, v, w = weights[n, 0], weights[n, 1], weights[n, 2]
        right, up, far = a + (u > 0), b + (v > 0), c + (w > 0)
        if a < 0 or b < 0 or c < 0:
            continue
        if right >= predicted.shape[0] or up >= predicted.shape[1] or far >= predicted.shape[2]:
            continue
        near_low = predicted[a, b, c] * (1 - u) + predicted[right, b, c] * u
        near_high = predicted[a, up, c] * (1 - u) + predicted[right, up, c] * u
        far_low = predicted[a, b, far] * (1 - u) + predicted[right, b, far] * u
        far_high = predicted[a, up, far] * (1 - u) + predicted[right, up, far] * u
        value = (near_low * (1 - v) + near_high * v) * (1 - w) + (far_low * (1 - v) + far_high * v) * w
        if ((value - dose) / limit) ** 2 + distances[n] <= _LIMIT:
            return True
        is_lower |= value <= dose
        is_higher |= value >= dose
        if is_lower and is_higher:
            return True
    return False
