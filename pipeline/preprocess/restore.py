"""From class probabilities on the network's grid to a mask on the scan's own grid."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipeline.geometry import Geometry
from pipeline.preprocess.resample import resample_linear
from pipeline.records import Labelmap

SLAB_BYTES = 128 * 2**20


def restore_mask(
    probabilities: Tensor, grid: Geometry, native: Geometry, *, values: tuple[int, ...], slab_bytes: int = SLAB_BYTES
) -> Labelmap:
    """Resample probabilities to the native grid, then take the most probable class, slab by slab.

    Never more than one slab of classes × native voxels is in memory.

    Args:
        probabilities: Shape `(C, I, J, K)` on `grid`, on any device.
        grid: The network's grid.
        native: The scan's grid.
        values: Label value of each class.
        slab_bytes: Memory that one slab of probabilities may take.

    Returns:
        Label values of shape `native.shape` in the smallest unsigned type.
    """
    table = np.array(values, dtype=np.min_scalar_type(max(values)))
    mask = np.empty(native.shape, dtype=table.dtype)
    slice_bytes = probabilities.shape[0] * native.shape[0] * native.shape[1] * 4
    step = max(1, slab_bytes // slice_bytes)
    for start in range(0, native.shape[2], step):
        slab = slice(start, min(start + step, native.shape[2]))
        classes = resample_linear(probabilities, grid, native, slices=slab).argmax(dim=0)
        mask[:, :, slab] = table[classes.to(torch.int32).cpu().numpy()]
    return mask
