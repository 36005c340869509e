"""The share of two surfaces that agrees within a tolerance in millimetres."""

from __future__ import annotations

from medseg.evaluation.segmentation.same_grid import check_same_shape
from medseg.evaluation.segmentation.surface_distances import solid_axes
from medseg.evaluation.segmentation.surface_elements import ROUNDING_VOXELS, surface_elements
from medseg.geometry import Triple
from medseg.records import Mask


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

    Source: Nikolov et al. 2021, https://doi.org/10.2196/26151, eq. 1, with the areas of DeepMind's surface-distance.
    """
    check_same_shape(label, mask)
    if not (label.any() and mask.any()):
        return 0.0 if label.any() or mask.any() else float("nan")
    axes = solid_axes(label.shape)
    shape, spacing = [label.shape[axis] for axis in axes], [spacing_mm[axis] for axis in axes]
    elements = surface_elements(label.reshape(shape), mask.reshape(shape), spacing_mm=spacing)
    return elements.agreeing_share(tolerance_mm + ROUNDING_VOXELS * min(spacing))
