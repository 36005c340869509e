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
        is_rounded: Whether values are rounded to half precision before they are compared; the first of equals wins.
    """

    def __init__(
        self,
        grid: Geometry,
        native: Geometry,
        *,
        mask: Array,
        values: tuple[int, ...],
        axis: int,
        is_rounded: bool = False,
    ) -> None:
        self.cells = _Cells(grid, native, axis)
        self.is_rounded = is_rounded
        self.mask, self.out = mask, self.cells.view(mask)
        self.table = np.array(values, mask.dtype)
        self.last: _Plane | None = None

    def add(self, chunk: Tensor) -> None:
        """Take the next planes `(C, I, J, K)` and decide everything up to the last of them."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for values in self.cells.planes_of(chunk):
                plane = _Plane(values.numpy(), self.is_rounded)
                slices = self.cells.next_slices()
                self.cells.decide(self.last, plane, slices, table=self.table, out=self.out[slices], pool=pool)
                self.last = plane

    def finish(self) -> Array:
        """The mask."""
        return self.mask


class RegionRestoring:
    """A native array that is being drawn from planes of values, of which each channel is decided apart.

    A channel is found where it is larger than a second one that is the threshold everywhere. What is found is held for
    the native slices of one cell only.

    Args:
        grid: The network's grid.
        native: The scan's grid.
        target: Meaning of the channels, with a `channel_threshold`.
        axis: Axis of `grid` along which the planes follow each other.
    """

    def __init__(self, grid: Geometry, native: Geometry, *, target: VoxelTarget, axis: int) -> None:
        self.cells = _Cells(grid, native, axis)
        self.target = target
        self.mask = target.blank(native.shape)
        self.out = self.cells.view(self.mask)
        self.table = np.array([False, True])
        self.last: list[_Plane | None] = [None] * target.channels

    def add(self, chunk: Tensor) -> None:
        """Take the next planes `(C, I, J, K)` and decide everything up to the last of them."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for values in self.cells.planes_of(chunk):
                self._add_plane(values, pool)

    def finish(self) -> Array:
        """The native array."""
        return self.mask

    def _add_plane(self, values: Tensor, pool: ThreadPoolExecutor) -> None:
        threshold = torch.full(values.shape[:2], self.target.channel_threshold or 0.0)
        slices = self.cells.next_slices()
        found = np.zeros((self.target.channels, slices.stop - slices.start, *self.out.shape[-2:]), bool)
        for channel, out in enumerate(found):
            plane = _Plane(torch.stack([threshold, values[..., channel]], dim=-1).numpy())
            self.cells.decide(self.last[channel], plane, slices, table=self.table, out=out, pool=pool)
            self.last[channel] = plane
        if found.size:
            self.out[..., slices, :, :] = self.target.combine(found)


class _Cells:
    """The cells of a grid and the native voxels in them, the axis along which planes follow each other first.

    Args:
        grid: The network's grid.
        native: The scan's grid.
        axis: Axis of `grid` along which the planes follow each other.
    """

    def __init__(self, grid: Geometry, native: Geometry, axis: int) -> None:
        maps = native.axis_maps(grid)
        self.order = (axis, *(other for other in range(3) if other != axis))
        placed = {axis_map.source_axis: number for number, axis_map in enumerate(maps)}
        self.native_order = [placed[n] for n in self.order]
        self.axes = [_GridAxis.of(maps[placed[n]], grid.shape[n], native.shape[placed[n]]) for n in self.order]
        self.planes = 0

    def view(self, array: Array) -> Array:
        """A native array with its last three axes as those of the cells, in rising order."""
        leading = array.ndim - 3
        ordered = array.transpose(*range(leading), *(leading + axis for axis in self.native_order))
        i, j, k = (slice(None, None, -1 if line.is_reversed else 1) for line in self.axes)
        return ordered[..., i, j, k]

    def planes_of(self, chunk: Tensor) -> Tensor:
        """Values `(C, I, J, K)` as planes of the cells with the channels last."""
        return chunk.permute(*(n + 1 for n in self.order), 0).float().contiguous()  # (planes, J, K, C)

    def next_slices(self) -> slice:
        """Native slices that the next plane completes: those of its own, or between it and the plane before."""
        line = self.axes[0]
        cell = self.planes - line.step
        self.planes += 1
        return slice(*(int(start) for start in line.starts[cell : cell + 2])) if cell >= 0 else slice(0, 0)

    def decide(
        self,
        low: _Plane | None,
        high: _Plane,
        slices: slice,
        *,
        table: Array,
        out: Array,
        pool: ThreadPoolExecutor,
    ) -> None:
        """Decide native slices.

        Args:
            low: Plane before; it does not count where native slices lie on the planes.
            high: Plane that completes them.
            slices: What `next_slices` gave.
            table: Value of each channel.
            out: Native values `(slices, J, K)` to fill.
            pool: Threads among which the rows are divided.
        """
        line, rows, columns = self.axes
        lower = low if low is not None and line.step else high
        if slices.start == slices.stop:
            return
        from medseg.preprocess.segmentation.cell_kernel import decide_cells

        def decide(first: int, last: int) -> None:
            decide_cells(
                lower.values,
                high.values,
                lower.largest,
                high.largest,
                (lower.leads, high.leads),
                line.weights[slices],
                (first, last, rows.starts, rows.weights, rows.step),
                (0, columns.cells, columns.starts, columns.weights, columns.step),
                table,
                out,
            )

        cuts = np.linspace(0, rows.cells, torch.get_num_threads() + 1).astype(int)
        list(pool.map(decide, cuts[:-1], cuts[1:]))


@dataclass
class _Plane:
    """A plane of values `(J, K, C)`, which are compared as they are or rounded to half precision."""

    values: Array
    is_rounded: bool = False

    @property
    def largest(self) -> Array:
        """Index of the largest channel of each voxel, `(J, K)`."""
        return self._found[0]

    @property
    def leads(self) -> Array:
        """How much larger it is than the channels before it, `(J, K)`; empty unless values are rounded."""
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[Array, Array]:
        from medseg.preprocess.segmentation.cell_kernel import largest_channels

        shape = self.values.shape[:2]
        largest, leads = np.empty(shape, np.int32), np.empty(shape if self.is_rounded else (0, 0), np.float32)
        largest_channels(self.values.reshape(-1, self.values.shape[2]), largest.reshape(-1), leads.reshape(-1))
        return largest, leads


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
    def of(cls, axis_map: AxisMap, size: int, native_size: int) -> _GridAxis:
        """Sort the native voxels of an axis into cells; those beyond the grid belong to its edge."""
        positions = np.sort(np.clip(axis_map.offset + axis_map.scale * np.arange(native_size), 0, size - 1))
        nearest = np.floor(positions + 0.5)
        is_on_grid = bool(np.abs(positions - nearest).max() < _ON_GRID)
        lower = nearest if is_on_grid else np.minimum(np.floor(positions), size - 2)
        cells = size if is_on_grid else size - 1
        weights = np.zeros(native_size) if is_on_grid else positions - lower
        return cls(
            starts=np.searchsorted(lower, np.arange(cells + 1)),
            weights=weights.astype(np.float32),
            step=0 if is_on_grid else 1,
            is_reversed=axis_map.scale < 0,
        )
