"""From values of channels on the network's grid to a mask on the scan's own grid."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from medseg.geometry import Geometry
from medseg.preprocess.resample import resample_linear
from medseg.records import Array
from medseg.targets import VoxelTarget

SLAB_BYTES = 128 * 2**20


def restore_mask(
    values: Tensor, grid: Geometry, native: Geometry, *, target: VoxelTarget, slab_bytes: int = SLAB_BYTES
) -> Array:
    """Resample values to the native grid, then let the target decide, slab by slab.

    Never more than one slab of channels × native voxels is in memory, beside the values.

    Args:
        values: Activated values `(C, I, J, K)` on `grid`, on any device.
        grid: The network's grid.
        native: The scan's grid.
        target: Meaning of the channels.
        slab_bytes: Memory that one slab of values may take.

    Returns:
        The target's native array on the scan's grid, such as a map of label values.
    """
    axis = native.axis_maps(grid)[2].source_axis
    return restore_planes([values], grid, native, target=target, axis=axis, slab_bytes=slab_bytes)


def restore_planes(
    chunks: Iterable[Tensor],
    grid: Geometry,
    native: Geometry,
    *,
    target: VoxelTarget,
    axis: int,
    slab_bytes: int = SLAB_BYTES,
) -> Array:
    """The same as `restore_mask` for values that come in chunks of planes; each chunk is released after its use.

    Args:
        chunks: Values `(C, I, J, K)` on any device; parts of `grid` along `axis` in rising order, without gaps.
        grid: The network's grid.
        native: The scan's grid; beyond the outermost voxel centres of `grid` the edge value holds.
        target: Meaning of the channels.
        axis: Axis of `grid` along which the chunks follow each other.
        slab_bytes: Memory that one slab of native values may take; a single slice may take more.

    Returns:
        The target's native array on the scan's grid.

    Raises:
        ValueError: If the chunks do not add up to the grid.
    """
    work = _Restoring(grid, native, target, axis, slab_bytes)
    for chunk in chunks:
        work.add(chunk)
    return work.finish()


class _Restoring:
    """A native mask that is being drawn, and the planes of values that its next slices need."""

    def __init__(self, grid: Geometry, native: Geometry, target: VoxelTarget, axis: int, slab_bytes: int) -> None:
        self.grid = grid
        self.native = native
        self.axis = axis
        self.slab_bytes = slab_bytes
        self.target = target
        self.mask = target.blank(native.shape)
        self.native_axis = [axis_map.source_axis for axis_map in native.axis_maps(grid)].index(axis)
        axis_map = native.axis_maps(grid)[self.native_axis]
        positions = axis_map.offset + axis_map.scale * np.arange(native.shape[self.native_axis])
        self.is_reversed = axis_map.scale < 0
        self.positions = np.sort(np.clip(positions, 0, grid.shape[axis] - 1))  # of native slices, in planes
        self.drawn = 0  # slices, in the order of their positions
        self.waiting: list[Tensor] = []
        self.first = self.stop = 0  # planes that wait

    def add(self, chunk: Tensor) -> None:
        """Take the next planes; draw when enough of them wait, so that thin chunks cost no more than thick ones."""
        self.waiting.append(chunk)
        self.stop += chunk.shape[self.axis + 1]
        if sum(chunk.nbytes for chunk in self.waiting) >= self.slab_bytes // 4:
            self._draw()

    def finish(self) -> Array:
        """Draw what is left."""
        if self.stop != self.grid.shape[self.axis]:
            raise ValueError(f"chunks must have {self.grid.shape[self.axis]} planes, got {self.stop}")
        self._draw()
        return self.mask

    def _draw(self) -> None:
        """All slices up to the last plane at hand, the only one that later slices may need."""
        if not self.waiting:
            return
        planes = torch.cat(self.waiting, dim=self.axis + 1) if len(self.waiting) > 1 else self.waiting[0]
        ready = int(np.searchsorted(self.positions, self.stop - 1, side="right"))
        slice_bytes = 4 * len(planes) * math.prod(self.native.shape) // self.native.shape[self.native_axis]
        step = max(1, self.slab_bytes // slice_bytes)
        for start in range(self.drawn, ready, step):
            self._draw_slices(planes, range(start, min(start + step, ready)))
        self.drawn = ready
        self.waiting = [planes.narrow(self.axis + 1, planes.shape[self.axis + 1] - 1, 1).clone()]
        self.first = self.stop - 1

    def _draw_slices(self, planes: Tensor, wanted: range) -> None:
        """Some slices, from the planes on both sides of them."""
        size = self.native.shape[self.native_axis]
        slices = range(size - wanted.stop, size - wanted.start) if self.is_reversed else wanted
        low = math.floor(self.positions[wanted.start])
        high = math.ceil(self.positions[wanted.stop - 1]) + 1
        values = resample_linear(
            planes.narrow(self.axis + 1, low - self.first, high - low),
            self.grid.cropped(self.axis, range(low, high)),
            self.native.cropped(self.native_axis, slices),
        )
        place = tuple(slice(slices.start, slices.stop) if n == self.native_axis else slice(None) for n in range(3))
        self.mask[(..., *place)] = self.target.decide(values)
