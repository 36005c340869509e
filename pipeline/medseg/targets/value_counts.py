"""Voxels of label values, layer by layer: NumPy's own functions hold eight bytes for each voxel that they are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from medseg.targets.voxel_target import Array, Mask


def value_counts(array: Array, size: int) -> Array:
    """Number of voxels of each value below a size.

    Args:
        array: Label values, whole numbers from 0 on, of any shape.
        size: Number of values that are counted, from 0 on; larger values are not.

    Returns:
        int64 of shape `(size,)`.
    """
    counts = np.zeros(size, np.int64)
    for (layer,) in _layers(array):
        counts += np.bincount(layer.ravel(), minlength=size)[:size]
    return counts


def overlap_counts(
    first: Array, second: Array, structures: Mapping[str, Sequence[int]]
) -> dict[str, tuple[int, int, int]]:
    """Voxels of each structure in the first of two label maps, in the second, and in both.

    Args:
        first: Label values, whole numbers from 0 on.
        second: Label values of the same shape.
        structures: Values that make up each structure; structures may share values.
    """
    values = sorted({value for held in structures.values() for value in held})
    counts = _pair_counts(first, second, values)
    found = {}
    for name, held in structures.items():
        places = np.searchsorted(values, sorted(set(held)))
        both = counts[np.ix_(places, places)]
        found[name] = int(counts[places].sum()), int(counts[:, places].sum()), int(both.sum())
    return found


def holds(array: Array, values: Sequence[int]) -> Mask:
    """Voxels that hold one of several values, bool of the array's shape.

    Args:
        array: Label values.
        values: Values that are looked for.
    """
    if len(values) == 1:
        return np.asarray(array == values[0])
    found = np.zeros_like(array, bool)
    for layer, inside in _layers(array, found):
        inside[...] = np.isin(layer, values)
    return found


def _pair_counts(first: Array, second: Array, values: Sequence[int]) -> Array:
    """Voxels of each pair of values, by their places among the values; all other values share the last place."""
    if min(int(first.min(initial=0)), int(second.min(initial=0))) < 0:
        raise ValueError("label values must be at least 0")
    largest = max(int(first.max(initial=0)), int(second.max(initial=0)), *values)
    place = np.full(largest + 1, len(values), np.int64)
    place[list(values)] = np.arange(len(values))
    width = len(values) + 1
    counts = np.zeros(width * width, np.int64)
    for one, other in _layers(first, second):
        pairs = place[one.astype(np.intp)] * width + place[other.astype(np.intp)]
        counts += np.bincount(pairs.ravel(), minlength=width * width)
    return counts.reshape(width, width)


def _layers(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Layers of arrays of one shape, those that lie together in the first one's memory; the whole of a single axis."""
    first = arrays[0]
    if first.ndim < 2:
        return iter([arrays])
    along = 0 if first.flags.c_contiguous else first.ndim - 1
    return zip(*(np.moveaxis(array, along, 0) for array in arrays), strict=True)
