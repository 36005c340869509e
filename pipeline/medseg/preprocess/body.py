"""The box of a scan that holds the body, found from the image alone."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from medseg.preprocess.config import BodyCrop, PreprocessConfig
from medseg.preprocess.grid import Box, part_of
from medseg.records import Array, Mask, Scan


class Cropped(NamedTuple):
    """A part of a scan.

    Attributes:
        scan: The part, on the scan's own voxels.
        box: Voxels of the scan that it takes.
    """

    scan: Scan
    box: Box


def crop_to_body(scan: Scan, config: PreprocessConfig) -> Cropped:
    """The part of a scan that the network is to see: the body's box where the configuration asks for it, else all."""
    whole = whole_box(scan.array.shape[-3:])
    body = config.body
    # Another number of channels is refused by `preprocess_scan`, whose error says so.
    box = body_box(scan, body) if body is not None and len(body.above) == len(scan.array) else whole
    if box == whole:
        return Cropped(scan, whole)
    return Cropped(Scan(inside(scan.array, box), part_of(scan.geometry, box), scan.origin), box)


def body_box(scan: Scan, crop: BodyCrop) -> Box:
    """Smallest box that holds every voxel that is not background in some channel, with the margin.

    All of a scan is its body if it has no such voxel.

    Args:
        scan: Scan as it was read.
        crop: Rule of each channel, and the margin.
    """
    shape = scan.array.shape[-3:]
    filled = [_filled(channel, above) for channel, above in zip(scan.array, crop.above, strict=True)]
    ranges = [range(size) for size in shape]
    for axis, (size, spacing_mm) in enumerate(zip(shape, scan.geometry.spacing_mm, strict=True)):
        found = np.flatnonzero(np.logical_or.reduce([layers[axis] for layers in filled]))
        if len(found):
            margin = math.ceil(crop.margin_mm / spacing_mm)
            ranges[axis] = range(max(0, int(found[0]) - margin), min(size, int(found[-1]) + 1 + margin))
    return ranges[0], ranges[1], ranges[2]


def whole_box(shape: tuple[int, ...]) -> Box:
    """All voxels of a grid."""
    i, j, k = shape
    return range(i), range(j), range(k)


def inside(array: Array, box: Box) -> Array:
    """The voxels of a box of the last three axes, not copied."""
    return array[(..., *slices_of(box))]


def slices_of(box: Box) -> tuple[slice, slice, slice]:
    """A box as an index."""
    i, j, k = (slice(extent.start, extent.stop) for extent in box)
    return i, j, k


def overlap(one: Box, other: Box) -> Box:
    """Voxels of both boxes; ranges are empty where there are none."""
    i, j, k = (range(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return i, j, k


def _filled(channel: Array, above: float | None) -> tuple[Mask, Mask, Mask]:
    """Layers along each axis that hold a voxel of the body."""
    is_body: Mask = channel > above if above is not None else channel != _padding(channel)
    columns = np.any(is_body, axis=2)
    return np.any(columns, axis=1), np.any(columns, axis=0), np.any(is_body, axis=(0, 1))


def _padding(channel: Array) -> float:
    """The value that most of the eight corners have."""
    corners = channel[np.ix_(*([0, size - 1] for size in channel.shape))]
    values, counts = np.unique(corners, return_counts=True)
    return float(values[int(np.argsort(counts, kind="stable")[-1])])
