"""Native masks decided slab by slab from interpolated values, on any device and for any target."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from medseg.geometry import Geometry
from medseg.preprocess.resample import resample_linear
from medseg.records import Array
from medseg.targets import ChannelTarget


class SlabRestoring:
    """A native mask that is being drawn, and the planes of values that its next slices need.

    All values are interpolated to a slab of native slices before the target decides.

    Args:
        grid: The network's grid.
        native: The scan's grid.
        target: Meaning of the channels.
        axis: Axis of `grid` along which the planes follow each other.
        slab_bytes: Memory that one slab of native values may take; a single slice may take more.
    """

    def __init__(self, grid: Geometry, native: Geometry, target: ChannelTarget, axis: int, slab_bytes: int) -> None:
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
        """Take the next planes `(C, I, J, K)`.

        Slices are drawn when enough planes wait, so that thin chunks cost no more than thick ones.
        """
        self.waiting.append(chunk)
        self.stop += chunk.shape[self.axis + 1]
        if sum(chunk.nbytes for chunk in self.waiting) >= self.slab_bytes // 4:
            self._draw()

    def finish(self) -> Array:
        """Draw what is left, and give the mask."""
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
