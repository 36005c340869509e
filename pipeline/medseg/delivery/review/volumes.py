"""Scans and masks small enough to stand inside a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medseg.delivery.review.shades import Shades, shades_of
from medseg.errors import DeliveryError
from medseg.inference.mask_page import AxisOrder
from medseg.records import Array, Labelmap, Scan

_LEVEL = 3  # of isal's four, the smallest files
_SAMPLE = 4  # slices by which the compressed size is estimated


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedImage:
    """A scan for the page, its first axis fastest.

    Attributes:
        data: gzip of uint8: steps of a scale, or red, green and blue of each pixel.
        shape: Voxels along axes to the right, anterior and superior.
        steps: Voxels of the scan that each stands for.
        shades: Scale of the steps; None for colours.
    """

    data: bytes
    shape: tuple[int, int, int]
    steps: tuple[int, int, int]
    shades: Shades | None


def embed_image(scan: Scan, order: AxisOrder, *, has_colours: bool, most_bytes: int) -> EmbeddedImage:
    """Encode a scan, with its voxels averaged where it would be larger than it may be.

    Args:
        scan: Scan; its first channel is shown, or the three channels of a picture as colours.
        order: Order of its axes.
        has_colours: Whether the channels are colours.
        most_bytes: About the largest size, compressed.
    """
    if has_colours:
        channels = np.stack([order.view(channel) for channel in scan.array[:3]])
        pixels = np.rint(np.clip(channels, 0, 255)).astype(np.uint8) if channels.max() > 1 else _scaled(channels)
        i, j, k = pixels.shape[1:]
        return EmbeddedImage(_packed(pixels), (i, j, k), (1, 1, 1), None)
    channel = order.view(scan.array[0])
    shades = shades_of(channel)
    spacing = [scan.geometry.spacing_mm[axis] for axis in order.axes]
    steps = _steps(channel, shades, spacing, most_bytes)
    codes = _codes(channel, shades, steps)
    i, j, k = codes.shape
    return EmbeddedImage(_packed(codes), (i, j, k), steps, shades)


def embed_mask(mask: Labelmap, order: AxisOrder, *, numbers: Mapping[int, int], case_id: str) -> bytes:
    """Number of each voxel's structure in gzip, uint8, its first axis fastest, on the scan's own grid.

    Args:
        mask: Label values of shape `(I, J, K)`.
        order: Order of its axes.
        numbers: Number of each label value, at most 255.
        case_id: Id of the case, for errors.

    Raises:
        DeliveryError: If a value has no number.
    """
    low, high = int(mask.min(initial=0)), int(mask.max(initial=0))
    table = np.full(max(high, *numbers, 0) + 1, -1, np.int16)
    table[list(numbers)] = list(numbers.values())
    present = np.unique(mask) if low >= 0 else np.array([low])
    unknown = [int(value) for value in present if value < 0 or table[value] < 0]
    if unknown:
        raise DeliveryError(
            f"mask values must be among those of its labels, got {unknown}",
            remedy="correct the mask, or move it away and predict again",
            case_id=case_id,
        )
    return _packed(order.view(table.astype(np.uint8)[mask]))


def _steps(channel: Array, shades: Shades, spacing: Sequence[float], most_bytes: int) -> tuple[int, int, int]:
    """Voxels to average along each axis: the finest axes first, until the estimated size fits."""
    middle = max(0, channel.shape[2] // 2 - _SAMPLE // 2)
    part = channel[:, :, middle : middle + _SAMPLE]
    steps = [1, 1, 1]
    size = len(_packed(shades.encode(part))) * channel.shape[2] / part.shape[2]
    while size > most_bytes:
        finest = min(place * step for place, step in zip(spacing, steps, strict=True))
        for axis in range(3):
            if spacing[axis] * steps[axis] <= 1.3 * finest and size > most_bytes:
                steps[axis] *= 2
                size /= 2
    return steps[0], steps[1], steps[2]


def _codes(channel: Array, shades: Shades, steps: tuple[int, int, int]) -> Array:
    """Steps of the averaged channel, one slab after the other, so that no second volume of floats is held."""
    shape = [-(-size // step) for size, step in zip(channel.shape, steps, strict=True)]
    codes = np.empty(shape, np.uint8, order="F")
    for k in range(shape[2]):
        slab = channel[:, :, k * steps[2] : (k + 1) * steps[2]].mean(axis=2, dtype=np.float32)
        for axis in range(2):
            slab = _averaged(slab, axis, steps[axis])
        codes[:, :, k] = shades.encode(slab)
    return codes


def _averaged(plane: Array, axis: int, step: int) -> Array:
    if step == 1:
        return plane
    starts = np.arange(0, plane.shape[axis], step)
    counts = np.diff(np.append(starts, plane.shape[axis])).reshape((-1, 1) if axis == 0 else (1, -1))
    return np.asarray(np.add.reduceat(plane, starts, axis=axis) / counts)


def _scaled(channels: Array) -> Array:
    scaled: Array = np.rint(255 * np.clip(channels, 0, 1)).astype(np.uint8)
    return scaled


def _packed(array: Array) -> bytes:
    from isal import igzip

    packed: bytes = igzip.compress(array.ravel(order="F").tobytes(), compresslevel=_LEVEL, mtime=0)
    return packed
