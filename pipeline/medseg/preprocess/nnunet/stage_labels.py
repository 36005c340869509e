"""The labels of a cascade's earlier stage on the later network's grid."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from medseg.preprocess.nnunet.config import NnunetResampling, SplineOrder
from medseg.preprocess.nnunet.grid import NnunetGrids
from medseg.preprocess.nnunet.resize import resize
from medseg.records import Array

_TIE = 1e-5  # shares that differ by less are equal but for rounding


def one_hot_labels(
    labels: Array, values: tuple[int, ...], grids: NnunetGrids, resampling: NnunetResampling
) -> list[Tensor]:
    """Indicator of each label value on the network's grid.

    Args:
        labels: Values on the cropped scan's grid, along the axes of the patch; -1 counts as a label of its own.
        values: Label values that are wanted.
        grids: Grids of the scan.
        resampling: Rule of the resampling.

    Returns:
        A volume of zeros and ones for each value, float32.
    """
    moved = resized_labels(labels, grids, resampling)
    return [torch.from_numpy((moved == value).astype(np.float32)) for value in values]


def resized_labels(labels: Array, grids: NnunetGrids, resampling: NnunetResampling) -> Array:
    """Labels on the network's grid: each label's indicator is interpolated, and the largest wins.

    Of equal indicators the label of the nearest voxel wins, or the lowest where that is not among them.
    """
    shape = grids.network.shape
    if shape == labels.shape:
        return labels
    coarse = grids.coarse_axis(resampling)

    def moved(volume: Array, order: SplineOrder) -> Array:
        return resize(volume.astype(np.float32), shape, order=order, coarse_axis=coarse).numpy()

    nearest = np.rint(moved(labels, 0)).astype(labels.dtype)
    best = np.full(shape, -1.0, np.float32)
    result = np.zeros(shape, labels.dtype)
    for value in np.unique(labels):
        score = moved(labels == value, resampling.order)
        better = score > best + _TIE
        takes = better | ((np.abs(score - best) <= _TIE) & (nearest == value))
        result[takes] = value
        best = np.maximum(best, score)
    return result
