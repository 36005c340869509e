"""Voxel accuracy, which the background dominates."""

from __future__ import annotations

import numpy as np

from medseg.evaluation.segmentation.same_grid import check_same_shape
from medseg.records import Labelmap, Mask


def voxel_accuracy(label: Mask | Labelmap, mask: Mask | Labelmap) -> float:
    """Share of voxels on which label and mask agree, background among them.

    It does not measure a segmentation: if a structure fills one voxel in a thousand, an empty mask is right in 999.
    `medseg evaluate` writes it into its tables, but prints and ranks by others.

    Args:
        label: Reference, bool or label values, shape `(I, J, K)`.
        mask: Prediction on the same grid.

    Returns:
        Value in [0, 1]; 1 if both are empty.

    Raises:
        GeometryError: If the shapes differ.

    Source: Maier-Hein et al. 2024, https://doi.org/10.1038/s41592-023-02151-z, on the imbalance of classes.
    """
    check_same_shape(label, mask)
    return float(np.mean(label == mask))
