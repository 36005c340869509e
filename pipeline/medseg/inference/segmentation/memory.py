"""The memory that a scan needs; a process that takes more than is free is ended, and its whole cohort with it."""

from __future__ import annotations

import math

import psutil  # type: ignore[import-untyped]  # it ships no types
import torch

from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.inference.segmentation.sliding import CHUNK_BYTES
from medseg.inference.segmentation.windows import WindowLayout
from medseg.preprocess.segmentation.restore import SLAB_BYTES


def check_memory(
    layout: WindowLayout, native: Geometry, part: Geometry, *, channels: int, classes: int, device: torch.device
) -> None:
    """Refuse a scan that needs more memory than is free.

    Args:
        layout: Windows over the network's grid.
        native: The scan's grid.
        part: Grid of the part of the scan that is drawn.
        channels: Number of image channels.
        classes: Number of output channels.
        device: Device that the network runs on; on a GPU its sums take none of this memory.

    Raises:
        ScanError: If the memory is not enough; the message has both numbers.
    """
    needed = scan_bytes(layout, native, channels=channels)
    if device.type == "cpu":
        needed += sums_bytes(layout, classes=classes) + slab_bytes(layout, part, classes=classes)
    free = psutil.virtual_memory().available
    if needed > free:
        raise ScanError(
            f"a scan of {native.shape} voxels with {classes} classes must fit into memory, needs about "
            f"{needed / 1e9:.1f} GB beside the network's own and {free / 1e9:.1f} GB are free",
            remedy="use a smaller part of the scan (the gate of medseg predict), fewer mirror axes "
            "(inference.mirror_axes in the run's model.json) or a machine with more memory",
        )


def sums_bytes(layout: WindowLayout, *, classes: int) -> int:
    """Bytes of the float32 sums of logits and weights of each flipped copy's unfinished planes."""
    return 4 * len(layout.copies) * (classes + 1) * math.prod(layout.buffer_shape)


def slab_bytes(layout: WindowLayout, part: Geometry, *, classes: int) -> int:
    """Bytes of the finished planes that wait for the next ones, and of the slab of native slices made from them."""
    grid_voxels = math.prod(len(extent) for extent in layout.box)
    plane = 4 * classes * grid_voxels // len(layout.box[layout.axis])
    native_slice = 4 * classes * max(math.prod(part.shape) // size for size in part.shape)
    waiting = min(max(SLAB_BYTES // 4, plane) + max(CHUNK_BYTES, plane), 4 * classes * grid_voxels)
    drawn = min(max(SLAB_BYTES, native_slice), 4 * classes * math.prod(part.shape))
    return 2 * waiting + 3 * drawn  # concatenated and split; interpolated between two neighbours


def scan_bytes(layout: WindowLayout, native: Geometry, *, channels: int) -> int:
    """Bytes of the normalised scan and the image on the network's grid, each with a temporary copy, and of the mask."""
    image = math.prod(len(extent) for extent in layout.seen)
    return 4 * channels * 2 * (math.prod(native.shape) + image) + 2 * math.prod(native.shape)
