"""The share of two surfaces that agrees within a tolerance in millimetres."""

from __future__ import annotations

import numpy as np
import torch

from medseg.evaluation.segmentation.quiet_monai import quiet_monai
from medseg.evaluation.segmentation.same_grid import check_same_shape
from medseg.geometry import Triple
from medseg.records import Array, Mask

_ROUNDING_VOXELS = 1e-4  # MONAI's distances are single precision


def surface_dice(label: Mask, mask: Mask, *, spacing_mm: Triple, tolerance_mm: float) -> float:
    """Fraction of both surfaces that lies within a tolerance of the other.

    Args:
        label: Reference, bool, shape `(I, J, K)`; an axis of one voxel is left out, so that a picture has outlines.
        mask: Prediction on the same grid.
        spacing_mm: Voxel size along `(i, j, k)`.
        tolerance_mm: Largest distance that counts as agreement.

    Returns:
        Value in [0, 1]; NaN if both are empty, 0 if one of them is.

    Raises:
        GeometryError: If the shapes differ.

    Source: Nikolov et al. 2021, https://doi.org/10.2196/26151, eq. 1, with the areas of DeepMind's surface-distance, in
        MONAI's implementation.
    """
    from monai.metrics import compute_surface_dice

    check_same_shape(label, mask)
    if not (label.any() and mask.any()):
        return 0.0 if label.any() or mask.any() else float("nan")
    axes = [axis for axis, size in enumerate(label.shape) if size > 1] or [0, 1]
    with quiet_monai():
        value = compute_surface_dice(
            _one_hot(mask, axes),
            _one_hot(label, axes),
            class_thresholds=[tolerance_mm + _ROUNDING_VOXELS * min(spacing_mm)],
            include_background=True,
            spacing=[spacing_mm[axis] for axis in axes],
            use_subvoxels=True,
        )
    return float(value)


def _one_hot(part: Array, axes: list[int]) -> torch.Tensor:
    """A mask in MONAI's form, without axes of one voxel, and padded so that no surface is cut off."""
    rimmed = np.pad(part.reshape([part.shape[axis] for axis in axes]), 1)
    return torch.from_numpy(rimmed)[None, None]  # (1, 1, I, J, K)
