"""Native masks decided cell by cell of the network's grid, without interpolating what cannot change."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from medseg.geometry import AxisMap, Geometry
from medseg.records import Array
from medseg.targets import VoxelTarget

_ON_GRID = 1e-3  # voxels; native voxels that lie nearer to the grid's own are taken as these


class CellRestoring:
    """A native mask that is being drawn from planes of values, of which the largest channel counts.

    Args:
        grid: The network's grid.
        native: The scan's grid.
        mask: Native array `(I, J, K)` to fill.
        values: Value of each channel in the mask.
        axis: Axis of `grid` along which the planes follow each other.
        nearest: Axis of `grid` along which the nearest plane is taken instead of an interpolation, if any.
    """

    def __init__(
        self,
        grid: Geometry,
        native: Geometry,
        *,
        mask: Array,
        values: tuple[int, ...],
        axis: int,
        nearest: int | None = None,
    ) -> None:
        maps = native.axis_maps(grid)
        self.order = (axis, *(other for other in range(3) if other != axis))
        placed = {axis_map.source_axis: number for number, axis_map in enumerate(maps)}
        self.axes = [
            _GridAxis.of(maps[placed[n]], grid.shape[n], native.shape[placed[n]], is_nearest=n == nearest)
            for n in self.order
        ]
        view = mask.transpose([placed[n] for n in self.order])
        self.out = view[tuple(slice(None, None, -1 if line.is_reversed else 1) for line in self.axes)]
        self.mask = mask
        self.table = np.array(values, mask.dtype)
        self.planes = 0
        self.last: _Plane | None = None
        self.pool = ThreadPoolExecutor(torch.get_num_threads())

    def add(self, chunk: Tensor) -> None:
        """Take the next planes `(C, I, J, K)` and decide everything up to the last of them."""
        values = chunk.permute(*(n + 1 for n in self.order), 0).float().contiguous()  # (planes, J, K, C)
        for plane in values:
            self._add_plane(_Plane(plane.numpy()))

    def finish(self) -> Array:
        """The mask."""
        self.pool.shutdown()
        return self.mask

    def _add_plane(self, plane: _Plane) -> None:
        if self.axes[0].step == 0:
            self._decide(self.planes, plane, plane)
        elif self.last is not None:
            self._decide(self.planes - 1, self.last, plane)
        self.last = plane
        self.planes += 1

    def _decide(self, cell: int, low: _Plane, high: _Plane) -> None:
        from medseg.preprocess.segmentation.cell_kernel import decide_cells

        line, rows, columns = self.axes
        start, stop = line.starts[cell : cell + 2]
        if start == stop:
            return

        def decide(first: int, last: int) -> None:
            decide_cells(
                low.values,
                high.values,
                low.largest,
                high.largest,
                line.weights[start:stop],
                (first, last, rows.starts, rows.weights, rows.step),
                (0, columns.cells, columns.starts, columns.weights, columns.step),
                self.table,
                self.out[start:stop],
            )

        cuts = np.linspace(0, rows.cells, self.pool._max_workers + 1).astype(int)
        list(self.pool.map(decide, cuts[:-1], cuts[1:]))


class RegionRestoring:
    """A native array that is being drawn from planes of values, of which each channel is decided apart.

    A channel is found where it is larger than a second one that is the threshold everywhere.

    Args:
        grid: The network's grid.
        native: The scan's grid.
        target: Meaning of the channels, with a `channel_threshold`.
        axis: Axis of `grid` along which the planes follow each other.
    """

    def __init__(self, grid: Geometry, native: Geometry, *, target: VoxelTarget, axis: int) -> None:
        self.target = target
        self.channels = [
            CellRestoring(grid, native, mask=np.zeros(native.shape, bool), values=(0, 1), axis=axis)
            for _ in range(target.channels)
        ]

    def add(self, chunk: Tensor) -> None:
        """Take the next planes `(C, I, J, K)`."""
        threshold = torch.full_like(chunk[:1], self.target.channel_threshold or 0.0)
        for channel, values in zip(self.channels, torch.split(chunk, 1), strict=True):
            channel.add(torch.cat([threshold, values]))

    def finish(self) -> Array:
        """The native array."""
        return self.target.combine(np.stack([channel.finish() for channel in self.channels]))


@dataclass
class _Plane:
    """A plane of values `(J, K, C)`."""

    values: Array

    @cached_property
    def largest(self) -> Array:
        """Index of the largest channel of each voxel, `(J, K)`."""
        from medseg.preprocess.segmentation.cell_kernel import largest_channels

        found = np.empty(self.values.shape[:2], np.int32)
        largest_channels(self.values.reshape(-1, self.values.shape[2]), found.reshape(-1))
        return found


@dataclass(frozen=True)
class _GridAxis:
    """Native voxels along an axis of the grid, in rising order of their positions.

    Attributes:
        starts: First native voxel of every cell, and one past the last.
        weights: Distance of each native voxel from the lower corner of its cell, float32.
        step: 1; 0 where native voxels are taken from single voxels of the grid, which are the cells then.
        is_reversed: Whether the native axis runs against the grid's.
    """

    starts: Array
    weights: Array
    step: int
    is_reversed: bool

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.starts) - 1

    @classmethod
    def of(cls, axis_map: AxisMap, size: int, native_size: int, *, is_nearest: bool) -> _GridAxis:
        """Sort the native voxels of an axis into cells; those beyond the grid belong to its edge."""
        positions = np.sort(np.clip(axis_map.offset + axis_map.scale * np.arange(native_size), 0, size - 1))
        nearest = np.floor(positions + 0.5)
        is_on_grid = is_nearest or bool(np.abs(positions - nearest).max() < _ON_GRID)
        lower = nearest if is_on_grid else np.minimum(np.floor(positions), size - 2)
        cells = size if is_on_grid else size - 1
        weights = np.zeros(native_size) if is_on_grid else positions - lower
        return cls(
            starts=np.searchsorted(lower, np.arange(cells + 1)),
            weights=weights.astype(np.float32),
            step=0 if is_on_grid else 1,
            is_reversed=axis_map.scale < 0,
        )
