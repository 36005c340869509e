"""Resampling between grids with parallel axes, one axis at a time.

MONAI's `Spacing` samples all axes at once from a coordinate grid of three floats per output voxel. Grids here differ
by permutation, flip and scale only, so each axis needs two indices and a weight per slice; `benchmarks/resample.py`
measures both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from medseg.geometry import AxisMap, Geometry
from medseg.records import Labelmap

_TIE = 1e-6  # shares that differ by less are equal but for rounding
_PART_BYTES = 4 * 2**20
_COARSER = 1.001  # a target whose voxels are larger than this many of the source's averages over them
_AlongAxis = Callable[[Tensor, int, AxisMap, np.ndarray], Tensor]


def resample_linear(array: Tensor, source: Geometry, target: Geometry, *, slices: slice | None = None) -> Tensor:
    """Interpolate linearly; beyond the source's outermost voxel centres the edge value holds.

    Args:
        array: Shape `(C, I, J, K)` on the source grid.
        source: Grid of the array.
        target: Grid to compute; its axes are parallel to the source's, in any order and direction.
        slices: Range of the target's k axis to compute; all if not given.

    Returns:
        Shape `(C, I', J', K')` on the target grid, or the requested slices of it.
    """
    return _along_all_axes(_interpolated, array, source, target, slices)


def resample_averaged(
    array: Tensor, source: Geometry, target: Geometry, *, change: Callable[[Tensor], Tensor] = lambda part: part
) -> Tensor:
    """The same, but along axes on which the target is coarser every voxel of the source counts.

    There the weights fall linearly to 0 at the distance of the target's spacing, so that fine detail is averaged
    instead of being hit or missed, and noise is lowered.

    Args:
        array: Shape `(C, I, J, K)` on the source grid.
        source: Grid of the array.
        target: Grid to compute; its axes are parallel to the source's, in any order and direction.
        change: Function of single voxels, such as a normalisation, that is applied before; it gets parts of the array,
            so that no changed copy of the whole is needed.

    Returns:
        Shape `(C, I', J', K')` on the target grid.
    """
    maps = target.axis_maps(source)
    if max(abs(axis_map.scale) for axis_map in maps) < _COARSER:
        return resample_linear(change(array).contiguous(), source, target)
    in_memory = sorted(range(3), key=lambda axis: -array.stride(maps[axis].source_axis + 1))  # longest stride first
    ordered = [maps[axis] for axis in in_memory]
    wanted = [np.arange(target.shape[axis]) for axis in in_memory]
    array = array.permute(0, *(axis_map.source_axis + 1 for axis_map in ordered))
    first, *others = sorted(
        range(3), key=lambda axis: len(wanted[axis]) > array.shape[axis + 1]
    )  # those that grow last
    array = _in_parts(array, first, ordered[first], wanted[first], change)
    for axis in others:
        array = _averaged(array, axis, ordered[axis], wanted[axis])
    return array.permute(0, *(in_memory.index(axis) + 1 for axis in range(3))).contiguous()


def resample_labels(labels: Labelmap, source: Geometry, target: Geometry) -> Labelmap:
    """Move labels to another grid: each value's indicator is averaged or interpolated, and the largest wins.

    Each value is resampled only where it can be found, so that a hundred small labels cost little more than one.

    Args:
        labels: Shape `(I, J, K)` on the source grid, not negative; 0 is the background, which wins where no other
            value has a larger share.
        source: Grid of the labels.
        target: Grid to compute, with parallel axes.

    Returns:
        Labels of the same type on the target grid; no new values.
    """
    from scipy import ndimage

    labels_of_boxes = labels.astype(np.uint8) if labels.dtype == bool else labels
    largest, total = np.zeros(target.shape, np.float32), np.zeros(target.shape, np.float32)
    result = np.zeros(target.shape, labels.dtype)
    for value, box in enumerate(ndimage.find_objects(labels_of_boxes), start=1):
        reach = _reach(box, source, target) if box is not None else None
        if reach is None:
            continue
        mask = torch.from_numpy((labels[reach.source_slices] == value).astype(np.float32))
        place = reach.target_slices
        share = resample_averaged(mask[None], _cropped(source, reach.source_slices), _cropped(target, place))[0].numpy()
        is_larger = share > largest[place]
        largest[place] = np.where(is_larger, share, largest[place])
        total[place] += share
        result[place][is_larger] = value
    result[1 - total >= largest - _TIE] = 0
    return result


class _Reach(NamedTuple):
    """What a label's box reaches.

    Attributes:
        source_slices: Voxels of the source that its target voxels are computed from.
        target_slices: Voxels of the target on which it can have a share.
    """

    source_slices: tuple[slice, ...]
    target_slices: tuple[slice, ...]


def _reach(box: tuple[slice, ...], source: Geometry, target: Geometry) -> _Reach | None:
    """Voxels of both grids that a label's box concerns; None where the target has none of it."""
    source_slices, target_slices = list(box), list(box)
    for axis, axis_map in enumerate(target.axis_maps(source)):
        part, size = box[axis_map.source_axis], source.shape[axis_map.source_axis]
        width = max(1.0, abs(axis_map.scale))
        position = np.clip(axis_map.offset + axis_map.scale * np.arange(target.shape[axis]), 0, size - 1)
        near = np.flatnonzero((position > part.start - width) & (position < part.stop - 1 + width))
        if len(near) == 0:
            return None
        wanted = position[near]
        first, last = math.floor(wanted.min() - width) - 1, math.ceil(wanted.max() + width) + 1
        target_slices[axis] = slice(int(near[0]), int(near[-1]) + 1)
        source_slices[axis_map.source_axis] = slice(max(0, first), min(size, last + 1))
    return _Reach(tuple(source_slices), tuple(target_slices))


def _cropped(grid: Geometry, slices: Sequence[slice]) -> Geometry:
    for axis, part in enumerate(slices):
        grid = grid.cropped(axis, range(part.start, part.stop))
    return grid


def _along_all_axes(
    along_axis: _AlongAxis, array: Tensor, source: Geometry, target: Geometry, slices: slice | None
) -> Tensor:
    maps = target.axis_maps(source)
    array = array.permute(0, *(axis_map.source_axis + 1 for axis_map in maps))
    wanted = [np.arange(size) for size in target.shape]
    wanted[2] = wanted[2][slices or slice(None)]
    for axis in _cheapest_first(array, wanted):
        array = along_axis(array, axis, maps[axis], wanted[axis])
    return array


def _cheapest_first(array: Tensor, wanted: list[np.ndarray]) -> list[int]:
    """Axes in order, those that shrink most first, so that later ones have less to do."""
    return sorted(range(3), key=lambda axis: len(wanted[axis]) / array.shape[axis + 1])


def _in_parts(
    array: Tensor, axis: int, axis_map: AxisMap, wanted: np.ndarray, change: Callable[[Tensor], Tensor]
) -> Tensor:
    """Change and average along one axis, a few slices at a time, which stay in the processor's cache."""
    size = array.shape[axis + 1]
    reach = max(1.0, abs(axis_map.scale))
    step = max(1, _PART_BYTES * size // (4 * array.numel()) // math.ceil(reach))
    parts = []
    for start in range(0, len(wanted), step):
        part = wanted[start : start + step]
        position = np.clip(axis_map.offset + axis_map.scale * part, 0, size - 1)
        low = max(0, math.floor(position.min() - reach))
        stop = min(size, math.ceil(position.max() + reach) + 1)
        changed = change(array.narrow(axis + 1, low, stop - low))
        parts.append(_averaged(changed, axis, axis_map, part, first=low, size=size))
    return torch.cat(parts, dim=axis + 1) if len(parts) > 1 else parts[0]


def _interpolated(
    array: Tensor, axis: int, axis_map: AxisMap, wanted: np.ndarray, *, first: int = 0, size: int | None = None
) -> Tensor:
    """Interpolate one spatial axis at the wanted target indices.

    Args:
        array: Slices of the source from `first` on; all that are needed.
        axis: Axis of the target.
        axis_map: Place of the target's slices on the source.
        wanted: Indices of the target's slices.
        first: Index of the array's first slice.
        size: Slices of the whole source; those of the array if not given.
    """
    size = size or array.shape[axis + 1]
    position = np.clip(axis_map.offset + axis_map.scale * wanted, 0, size - 1)
    nearest = np.rint(position)
    if np.abs(position - nearest).max() < 1e-3:
        if len(nearest) == array.shape[axis + 1] and (nearest == np.arange(first, first + len(nearest))).all():
            return array
        return array.index_select(axis + 1, _indices(nearest - first, array))
    lower = np.floor(position)
    weight = _weights(position - lower, axis, array)
    below = array.index_select(axis + 1, _indices(lower - first, array))
    above = array.index_select(axis + 1, _indices(np.minimum(lower + 1, size - 1) - first, array))
    return torch.lerp(below, above, weight)


def _averaged(
    array: Tensor, axis: int, axis_map: AxisMap, wanted: np.ndarray, *, first: int = 0, size: int | None = None
) -> Tensor:
    """Average one spatial axis about the wanted target indices, or interpolate where they lie no further apart.

    Arguments are those of `_interpolated`.
    """
    width = abs(axis_map.scale)
    if width < _COARSER:
        return _interpolated(array, axis, axis_map, wanted, first=first, size=size)
    size = size or array.shape[axis + 1]
    position = np.clip(axis_map.offset + axis_map.scale * wanted, 0, size - 1)
    taps = np.ceil(position - width)[:, np.newaxis] + np.arange(int(2 * width) + 1)
    weights = np.maximum(0, 1 - np.abs(taps - position[:, np.newaxis]) / width) * ((taps >= 0) & (taps < size))
    weights /= weights.sum(axis=1, keepdims=True)
    shape = [*array.shape[: axis + 1], len(position), *array.shape[axis + 2 :]]
    total = array.new_zeros(shape)
    taps = np.clip(taps, first, first + array.shape[axis + 1] - 1)  # beyond it all weights are 0
    for tap, weight in zip(taps.T - first, weights.T, strict=True):
        total.addcmul_(array.index_select(axis + 1, _indices(tap, array)), _weights(weight, axis, array))
    return total


def _weights(values: np.ndarray, axis: int, like: Tensor) -> Tensor:
    """One weight per slice of an axis, to be multiplied with an array."""
    shape = [1, 1, 1, 1]
    shape[axis + 1] = len(values)
    return torch.from_numpy(values).to(like).view(shape)


def _indices(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(like.device)
