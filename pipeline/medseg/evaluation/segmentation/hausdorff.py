"""The distance of two surfaces where they disagree most, without the worst twentieth."""

from __future__ import annotations

import numpy as np
import torch

from medseg.evaluation.segmentation.quiet_monai import quiet_monai
from medseg.evaluation.segmentation.same_grid import check_same_shape
from medseg.geometry import Triple
from medseg.records import Mask


def hausdorff_95_mm(label: Mask, mask: Mask, *, spacing_mm: Triple) -> float:
    """The 95th percentile of the distances from each surface to the other, the larger of the two directions.

    The surface consists of the centres of the voxels with a neighbour outside.

    Args:
        label: Reference, bool, shape `(I, J, K)`.
        mask: Prediction on the same grid.
        spacing_mm: Voxel size along `(i, j, k)`.

    Returns:
        Distance in millimetres; NaN if both are empty, the diagonal of the grid if one is, as no error can be larger.

    Raises:
        GeometryError: If the shapes differ.

    Source: Huttenlocher et al. 1993, https://doi.org/10.1109/34.232073; the percentile and the penalty as in
        Maier-Hein et al. 2024, https://doi.org/10.1038/s41592-023-02151-z.
    """
    from monai.metrics import compute_hausdorff_distance

    check_same_shape(label, mask)
    if not (label.any() and mask.any()):
        extent = np.array(label.shape) * spacing_mm
        return float(np.linalg.norm(extent)) if label.any() or mask.any() else float("nan")
    with quiet_monai():
        value = compute_hausdorff_distance(
            torch.from_numpy(mask)[None, None],  # (1, 1, I, J, K)
            torch.from_numpy(label)[None, None],
            include_background=True,
            percentile=95,
            spacing=list(spacing_mm),
        )
    return float(value)
