"""The distance of two surfaces where they disagree most, without the worst twentieth."""

from __future__ import annotations

import numpy as np

from medseg.evaluation.segmentation.same_grid import check_same_shape
from medseg.evaluation.segmentation.surface_distances import solid_axes, surface_distances
from medseg.geometry import Triple
from medseg.records import Mask


def hausdorff_95_mm(label: Mask, mask: Mask, *, spacing_mm: Triple) -> float:
    """The 95th percentile of the distances from each surface to the other, the larger of the two directions.

    The surface consists of the centres of the voxels with a neighbour outside.

    Args:
        label: Reference, bool, shape `(I, J, K)`; an axis of one voxel is left out, so that a picture has outlines.
        mask: Prediction on the same grid.
        spacing_mm: Voxel size along `(i, j, k)`.

    Returns:
        Distance in millimetres; NaN if both are empty, the diagonal of the grid if one is, as no error can be larger.

    Raises:
        GeometryError: If the shapes differ.

    Source: Huttenlocher et al. 1993, https://doi.org/10.1109/34.232073; the percentile and the penalty as in
        Maier-Hein et al. 2024, https://doi.org/10.1038/s41592-023-02151-z.
    """
    check_same_shape(label, mask)
    if not (label.any() and mask.any()):
        extent = np.array(label.shape) * spacing_mm
        return float(np.linalg.norm(extent)) if label.any() or mask.any() else float("nan")
    axes = solid_axes(label.shape)
    shape, spacing = [label.shape[axis] for axis in axes], [spacing_mm[axis] for axis in axes]
    return surface_distances(label.reshape(shape), mask.reshape(shape), spacing_mm=spacing).percentile_mm(95)
