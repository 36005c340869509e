"""From values of channels on the network's grid to a mask on the scan's own grid."""

from __future__ import annotations

import math
from collections.abc import Iterable
from threading import Lock, Thread
from typing import Protocol

import torch
from torch import Tensor

from medseg.geometry import Geometry
from medseg.preprocess.grid import part_of
from medseg.preprocess.segmentation.cell_restoring import CellRestoring, RegionRestoring
from medseg.preprocess.segmentation.slab_restoring import SlabRestoring
from medseg.records import Array
from medseg.targets import LabelsOnHalfLogits, VoxelTarget

SLAB_BYTES = 128 * 2**20
_MANY_VALUES = 2**23  # below, loading the compiled loops costs more than they save
_LOADING = Lock()  # is taken once and never given back


class _Restoring(Protocol):
    def add(self, chunk: Tensor) -> None: ...

    def finish(self) -> Array: ...


def restore_mask(
    values: Tensor, grid: Geometry, native: Geometry, *, target: VoxelTarget, slab_bytes: int = SLAB_BYTES
) -> Array:
    """Resample values to the native grid, then let the target decide.

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

    Where the target takes the largest channel, or compares each with a threshold, and the values are many and on the
    CPU, the decision is made cell by cell of the grid, which interpolates only where it can change something; else slab
    by slab. Both give the same mask, but where two channels are equal within rounding.

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
    work: _Restoring | None = None
    planes = 0
    for chunk in chunks:
        if work is None:
            is_large = chunk.device.type == "cpu" and is_decided_by_cells(target.channels, native)
            work = (_by_cells(grid, native, target, axis) if is_large else None) or SlabRestoring(
                grid, native, target, axis, slab_bytes
            )
        planes += chunk.shape[axis + 1]
        if planes <= grid.shape[axis]:
            work.add(chunk)
        del chunk  # or it would stay in memory until the next has come
    if work is None or planes != grid.shape[axis]:
        raise ValueError(f"chunks must have {grid.shape[axis]} planes, got {planes}")
    return work.finish()


def begin_loading(grid: Geometry, native: Geometry, *, target: VoxelTarget, axis: int, device: torch.device) -> None:
    """Load the compiled loops that `restore_planes` will need in a thread of their own, the first time in a process.

    That takes the better part of a second, in which a scan can be prepared. Where no loops are needed, it does nothing.

    Args:
        grid: The network's grid.
        native: The scan's grid.
        target: Meaning of the channels.
        axis: Axis of `grid` along which planes will follow each other.
        device: Device of the planes.
    """
    is_needed = device.type == "cpu" and is_decided_by_cells(target.channels, native)
    if is_needed and _LOADING.acquire(blocking=False):
        corners = _corner(grid), _corner(native)
        Thread(target=_rehearse, args=(*corners, target, axis), name="loading loops").start()


def _corner(grid: Geometry) -> Geometry:
    """The grid of a few voxels of another."""
    i, j, k = (range(min(3, size)) for size in grid.shape)
    return part_of(grid, (i, j, k))


def _rehearse(grid: Geometry, native: Geometry, target: VoxelTarget, axis: int) -> None:
    """Draw a tiny mask, which loads and, where they are not kept on disk, compiles the loops."""
    work = _by_cells(grid, native, target, axis)
    if work is not None:
        work.add(torch.zeros(target.channels, *grid.shape))


def is_decided_by_cells(channels: int, native: Geometry) -> bool:
    """Whether so many values are restored that masks are decided cell by cell on a CPU."""
    return channels * math.prod(native.shape) >= _MANY_VALUES


def _by_cells(grid: Geometry, native: Geometry, target: VoxelTarget, axis: int) -> _Restoring | None:
    """The way by cells, if the target decides by the largest channel or by thresholds."""
    if target.channel_values is not None:
        mask = target.blank(native.shape)
        is_rounded = isinstance(target, LabelsOnHalfLogits)
        return CellRestoring(grid, native, mask=mask, values=target.channel_values, axis=axis, is_rounded=is_rounded)
    return RegionRestoring(grid, native, target=target, axis=axis) if target.channel_threshold is not None else None
