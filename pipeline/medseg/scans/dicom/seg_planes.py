"""The pixels of a DICOM SEG out of a map of label values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medseg.errors import DeliveryError
from medseg.records import Array, Labelmap
from medseg.scans.segment import Segment

_TABLE = 1 << 16  # entries; larger values are looked up by search


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """Pixels slice by slice, as highdicom takes them.

    Attributes:
        pixels: Numbers of segments, shape `(planes, rows, columns)`, or 0 and 1 for each of overlapping segments,
            shape `(planes, rows, columns, segments)`.
        places: Index along k of each plane.
        omits_empty: Whether a plane without a voxel of a segment is left out.
    """

    pixels: Array
    places: range
    omits_empty: bool


def labelmap_planes(labels: Labelmap, segments: Sequence[Segment]) -> Planes:
    """All slices, one segment number in each pixel.

    Raises:
        DeliveryError: If segments share a value, so that a voxel would need two numbers.
    """
    shared = _shared_values(segments)
    if shared:
        names = [segment.name for segment in segments if shared[0] in segment.values]
        raise DeliveryError(
            f"segments of a labelmap must share no voxels, got {names[0]!r} and {names[1]!r} that do",
            remedy="write binary segments, which may overlap",
        )
    return Planes(_numbered(labels, segments), range(labels.shape[2]), omits_empty=False)


def binary_planes(labels: Labelmap, segments: Sequence[Segment]) -> Planes:
    """The slices from the first to the last that shows a segment; the first one if none does."""
    shown = np.flatnonzero(labels.any(axis=(0, 1)))
    places = range(int(shown[0]), int(shown[-1]) + 1) if len(shown) else range(1)
    part = labels[:, :, places.start : places.stop]
    if _shared_values(segments):
        pixels = np.empty((len(places), *labels.shape[1::-1], len(segments)), np.uint8)
        for number, segment in enumerate(segments):
            pixels[..., number] = segment.mask(part).transpose(2, 1, 0)
    else:
        pixels = _numbered(part, segments)
    return Planes(pixels, places, omits_empty=len(shown) > 0)


def _shared_values(segments: Sequence[Segment]) -> list[int]:
    counts = Counter(value for segment in segments for value in set(segment.values))
    return sorted(value for value, count in counts.items() if count > 1)


def _numbered(labels: Labelmap, segments: Sequence[Segment]) -> Array:
    """Number of the segment of every voxel, shape `(K, J, I)`, slice by slice so that little is held twice."""
    number_of = {value: segment.number for segment in segments for value in segment.values}
    values = np.array(sorted({0, *number_of}))
    numbers = np.array([number_of.get(int(value), 0) for value in values], np.uint8)
    pixels = np.empty(labels.shape[::-1], np.uint8)
    table = _table(values, numbers)
    for k in range(labels.shape[2]):
        plane = labels[:, :, k].T
        pixels[k] = numbers[np.searchsorted(values, plane)] if table is None else table[plane]
    return pixels


def _table(values: Array, numbers: Array) -> Array | None:
    """Number at the place of each value, or None where values are negative or too large for a table."""
    if values[0] < 0 or values[-1] >= _TABLE:
        return None
    table = np.zeros(int(values[-1]) + 1, np.uint8)
    table[values] = numbers
    return table
