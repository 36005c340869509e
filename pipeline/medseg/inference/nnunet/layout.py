"""nnU-Net's windows: evenly spaced steps from one end of the grid to the other, and a Gaussian of its own."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from medseg.inference.segmentation.windows import Visit, Voxel, WindowLayout
from medseg.preprocess import Box

_PEAK = 10.0
_SIGMA = 1 / 8  # of the window's size


def nnunet_layout(shape: Voxel, patch: Voxel, *, step: float, box: Box | None = None) -> WindowLayout:
    """Lay out the windows of a grid that touch a box.

    An image that is smaller than the window is padded on both sides, with the odd voxel at the end.

    Args:
        shape: Voxels of the grid.
        patch: Size of a window; a last axis of 1 for a 2D network.
        step: Largest distance of neighbouring windows, as a share of their size.
        box: Voxels to compute; the whole grid if not given.
    """
    box = box or (range(shape[0]), range(shape[1]), range(shape[2]))
    along = [axis_starts(size, window, step) for size, window in zip(shape, patch, strict=True)]
    used = [
        [start for start in starts if start < wanted.stop and start + window > wanted.start]
        for starts, window, wanted in zip(along, patch, box, strict=True)
    ]
    axis = 0  # windows in nnU-Net's order, in which sums of half precision depend on it
    starts = list(product(used[0], used[1], used[2]))
    visits = _visits(starts, axis, box[axis])
    i, j, k = (
        range(max(0, min(starts)), min(size, max(starts) + window))
        for starts, size, window in zip(used, shape, patch, strict=True)
    )
    depth = _depth(visits, axis, patch[axis], box[axis])
    return WindowLayout(patch, box, (i, j, k), axis, depth, copies=((),), visits=visits)


def axis_starts(size: int, patch: int, step: float) -> list[int]:
    """First voxels of the windows along one axis; one negative number where the image is padded.

    A window of one voxel, which is a slice of a 2D network, has no neighbours that overlap.
    """
    if patch == 1:
        return list(range(size))
    if size <= patch:
        return [-((patch - size) // 2)]
    count = math.ceil((size - patch) / (patch * step)) + 1
    distance = (size - patch) / (count - 1)
    return [int(np.round(distance * n)) for n in range(count)]


def importance_map(patch: Voxel) -> Tensor:
    """Weight of each voxel of a window, in the half precision that nnU-Net's has, as float32.

    Of a 2D window only the two first axes count.
    """
    size = patch[:2] if patch[2] == 1 else patch
    weights = np.zeros(size)
    weights[tuple(extent // 2 for extent in size)] = 1
    weights = ndimage.gaussian_filter(weights, [extent * _SIGMA for extent in size], mode="constant")
    rounded = torch.from_numpy(weights / weights.max() * _PEAK).half().float()
    rounded[rounded == 0] = rounded[rounded > 0].min()
    return rounded.reshape(patch)


def _visits(starts: list[Voxel], axis: int, planes: range) -> tuple[Visit, ...]:
    """A forward pass per window; behind each, the planes before the next window's first are finished."""
    upcoming = [min(max(start[axis], planes.start), planes.stop) for start in starts[1:]]
    return tuple(
        Visit(copy=0, starts=(start,), finished=(mark,))
        for start, mark in zip(starts, [*upcoming, planes.stop], strict=True)
    )


def _depth(visits: tuple[Visit, ...], axis: int, patch: int, planes: range) -> int:
    """Most planes from the first unfinished one to the end of the window that is being added."""
    depth, finished = 0, planes.start
    for visit in visits:
        depth = max(depth, min(visit.starts[0][axis] + patch, planes.stop) - finished)
        finished = visit.finished[0]
    return depth
