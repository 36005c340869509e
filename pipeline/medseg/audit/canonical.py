"""Volumes with their axes in RAS+ order, so that exports of one scan in several orientations look the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from medseg.geometry import Geometry
from medseg.records import Array


def canonical(volume: Array, geometry: Geometry) -> tuple[Array, Geometry]:
    """A view of a volume of shape `(I, J, K)` with axes nearest to right, anterior, superior, and its grid."""
    grid = geometry.reoriented("RAS")
    maps = grid.axis_maps(geometry)
    view = volume.transpose([axis.source_axis for axis in maps])
    return view[tuple(slice(None, None, -1 if axis.scale < 0 else 1) for axis in maps)], grid


def slices(volume: Array) -> Iterator[Array]:
    """The slices of a volume along the last axis, each contiguous, so that the whole volume is never copied."""
    for k in range(volume.shape[2]):
        yield np.ascontiguousarray(volume[:, :, k])


def voxel_digest(volumes: list[Array]) -> str:
    """SHA-256 over the shape and the float32 voxels of canonical volumes; equal for equal voxels under any header."""
    digest = hashlib.sha256(repr([volume.shape for volume in volumes]).encode())
    for volume in volumes:
        for one in slices(volume):
            digest.update(one.astype(np.float32, copy=False).data)
    return digest.hexdigest()
