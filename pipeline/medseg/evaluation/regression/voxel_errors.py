"""Errors of predicted values voxel by voxel, summed up."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from medseg.evaluation.regression.slabs import slabs
from medseg.records import Array, Mask


@dataclass(frozen=True, slots=True)
class VoxelErrors:
    """Errors over the voxels whose reference is known; NaN without any.

    Attributes:
        voxels: Count of those voxels.
        mean_absolute: Mean of |predicted - reference|.
        mean_square: Mean of the squared difference.
        mean: Mean of predicted - reference.
    """

    voxels: int
    mean_absolute: float
    mean_square: float
    mean: float

    @property
    def root_mean_square(self) -> float:
        """Root of the mean squared difference."""
        return sqrt(self.mean_square)


def voxel_errors(reference: Array, predicted: Array, where: Mask | None = None) -> VoxelErrors:
    """Sum up the differences of two volumes in double precision, part by part.

    Args:
        reference: Values of shape `(I, J, K)`; NaN where they are not known.
        predicted: Values on the same grid.
        where: Voxels that count, bool; all if not given.
    """
    count, sums = 0, np.zeros(3)
    for part in slabs(reference):
        known = ~np.isnan(reference[part])
        if where is not None:
            known &= where[part]
        difference = predicted[part][known].astype(np.float64) - reference[part][known]
        count += difference.size
        sums += np.abs(difference).sum(), (difference**2).sum(), difference.sum()
    means = sums / count if count else (nan,) * 3
    return VoxelErrors(count, *(float(value) for value in means))


def known_range(reference: Array) -> tuple[float, float]:
    """Smallest and largest known value of a volume; NaN without any."""
    ends = [(part.min(), part.max()) for cut in slabs(reference) if (part := _known(reference[cut])).size]
    return (float(min(low for low, _ in ends)), float(max(high for _, high in ends))) if ends else (nan, nan)


def _known(values: Array) -> Array:
    known: Array = values[~np.isnan(values)]
    return known
