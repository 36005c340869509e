"""A scan small enough to be kept until its mask is drawn, for the picture of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medseg.inference.mask_page.ras_view import AxisOrder
from medseg.origin import PictureOrigin
from medseg.records import Array, Labelmap, Scan

_LARGEST = 128  # voxels along an axis of a volume
_LARGEST_PICTURE = 512
_COLOURS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """Every nth voxel of a scan along each axis, as shades.

    Attributes:
        shades: uint8 of shape `(C, I, J, K)` along axes to the right, anterior and superior; three channels of a
            picture are its colours, everything else has one.
        steps: Voxels of the scan from one to the next, along the same axes.
        spacing_mm: Millimetres from one to the next.
        order: Order of the scan's axes.
        is_picture: Whether the scan is a picture, which has no place in a patient.
    """

    shades: Array
    steps: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    order: AxisOrder
    is_picture: bool

    def reduced(self, mask: Labelmap) -> Labelmap:
        """Largest value of a mask `(I, J, K)` around each voxel that was kept, so that no structure is lost."""
        reduced, by_axis = mask, dict(zip(self.order.axes, self.steps, strict=True))
        for axis in sorted(range(3), key=lambda axis: -mask.strides[axis]):  # the first pass reads whole slabs
            reduced = _largest(reduced, axis, by_axis[axis])
        return self.order.view(reduced)


def take_preview(scan: Scan) -> Preview:
    """Keep what a small picture of a scan needs: at most 2 MB of a volume, 1 MB of a picture.

    Args:
        scan: Scan with its voxels; its first channel is shown, or the three channels of a picture as colours.
    """
    is_picture = isinstance(scan.origin, PictureOrigin)
    order = AxisOrder.of_picture() if is_picture else AxisOrder.of(scan.geometry)
    largest = _LARGEST_PICTURE if is_picture else _LARGEST
    sizes = [scan.geometry.shape[axis] for axis in order.axes]
    steps = tuple(-(-size // largest) for size in sizes)
    has_colours = is_picture and len(scan.array) == _COLOURS
    kept = [_thinned(channel, steps, order) for channel in scan.array[: _COLOURS if has_colours else 1]]
    spacing = [scan.geometry.spacing_mm[axis] * step for axis, step in zip(order.axes, steps, strict=True)]
    return Preview(
        _shades(np.stack(kept)), (steps[0], steps[1], steps[2]), (spacing[0], spacing[1], spacing[2]), order, is_picture
    )


def _thinned(channel: Array, steps: tuple[int, ...], order: AxisOrder) -> Array:
    """Every nth voxel, beginning with the first of the array whichever way an axis is shown."""
    by_axis = dict(zip(order.axes, steps, strict=True))
    return order.view(channel[tuple(slice(None, None, by_axis[axis]) for axis in range(3))])


def _shades(kept: Array) -> Array:
    """From the 0.5th percentile as 0 to the 99.5th as 255."""
    low, high = np.percentile(kept, [0.5, 99.5])
    scaled = (kept.astype(np.float32) - low) * (255 / max(float(high - low), 1e-9))
    shades: Array = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
    return shades


def _largest(mask: Labelmap, axis: int, step: int) -> Labelmap:
    """Largest value of each run of `step` values along an axis; the last run may be shorter."""
    if step == 1:
        return mask
    before = (slice(None),) * axis
    largest = mask[(*before, slice(None, None, step))].copy(order="K")
    for offset in range(1, step):
        part = mask[(*before, slice(offset, None, step))]
        head = largest[(*before, slice(part.shape[axis]))]
        np.maximum(head, part, out=head)
    return largest
