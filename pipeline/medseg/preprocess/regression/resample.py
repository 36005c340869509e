"""Quantities on another grid, with what is not known left so."""

from __future__ import annotations

import numpy as np
import torch

from medseg.geometry import Geometry
from medseg.preprocess.resample import resample_averaged
from medseg.records import Array

_ROUNDING = 1e-4


def resample_values(values: Array, source: Geometry, target: Geometry) -> Array:
    """Interpolate values linearly, averaged where the target is coarser, as images are.

    A voxel of the target is known only if every voxel that it is made of is.

    Args:
        values: float32 `(Q, I, J, K)` on the source grid; NaN where one is not known.
        source: Grid of the values.
        target: Grid to compute, with parallel axes.

    Returns:
        float32 `(Q, I', J', K')`; the values themselves where both grids have the same voxels.
    """
    unknown = np.isnan(values)
    filled = np.where(unknown, np.float32(0), values) if unknown.any() else values
    moved: Array = resample_averaged(torch.from_numpy(np.ascontiguousarray(filled)), source, target).numpy()
    if unknown.any():
        share = resample_averaged(torch.from_numpy(unknown.astype(np.float32)), source, target).numpy()
        moved = np.where(share > _ROUNDING, np.float32(np.nan), moved)
    return moved.astype(np.float32, copy=False)
