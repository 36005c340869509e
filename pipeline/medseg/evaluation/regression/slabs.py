"""Volumes in parts that fit beside them in memory."""

from __future__ import annotations

from collections.abc import Iterator

from medseg.records import Array

Slab = tuple[slice, slice, slice]
_VOXELS = 1 << 22  # of which a float64 copy takes 32 MiB


def slabs(array: Array, *, voxels: int = _VOXELS) -> Iterator[Slab]:
    """Slices that cut a volume across the axis along which its neighbours lie farthest apart in memory.

    Args:
        array: Volume of shape `(I, J, K)`.
        voxels: Number of voxels that a part holds at most, unless a single plane has more.
    """
    axis = max(range(3), key=lambda axis: abs(array.strides[axis]))
    size = array.shape[axis]
    thickness = max(1, voxels * size // max(array.size, 1))
    for start in range(0, size, thickness):
        cut = [slice(None)] * 3
        cut[axis] = slice(start, min(start + thickness, size))
        yield cut[0], cut[1], cut[2]
