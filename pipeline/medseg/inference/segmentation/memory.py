"""The memory that a scan needs; a process that takes more than is free is ended, and its whole cohort with it."""

from __future__ import annotations

import math

import psutil  # type: ignore[import-untyped]  # it ships no types
import torch

from medseg.errors import MemoryShortageError
from medseg.geometry import Geometry
from medseg.inference.segmentation.sliding import CHUNK_BYTES
from medseg.inference.segmentation.windows import WindowLayout
from medseg.preprocess.segmentation.restore import SLAB_BYTES, is_decided_by_cells


def check_memory(
    layout: WindowLayout, native: Geometry, part: Geometry, *, channels: int, classes: int, device: torch.device
) -> int:
    """Refuse a scan that needs more memory than is free.

    Args:
        layout: Windows over the network's grid.
        native: The scan's grid.
        part: Grid of the part of the scan that is drawn.
        channels: Number of image channels.
        classes: Number of output channels.
        device: Device that the network runs on; on a GPU its sums take none of this memory.

    Returns:
        Bytes that are needed.

    Raises:
        MemoryShortageError: If the memory is not enough; the message has both numbers.
    """
    needed = drawing_bytes(layout, native, part, channels=channels, classes=classes, device=device)
    check_free(needed, native.shape, classes)
    return needed


def drawing_bytes(
    layout: WindowLayout, native: Geometry, part: Geometry, *, channels: int, classes: int, device: torch.device
) -> int:
    """Bytes that preparing and drawing a scan take; arguments as of `check_memory`."""
    needed = scan_bytes(layout, native, channels=channels)
    if device.type == "cpu":
        needed += sums_bytes(layout, classes=classes) + slab_bytes(layout, part, classes=classes)
    return needed


def check_free(needed: int, shape: tuple[int, int, int], classes: int) -> None:
    """Refuse a scan that needs more memory than is free.

    Args:
        needed: Bytes that are needed.
        shape: Voxels of the scan.
        classes: Number of output channels.

    Raises:
        MemoryShortageError: If the memory is not enough; the message has both numbers.
    """
    free = psutil.virtual_memory().available
    if needed > free:
        raise MemoryShortageError(
            f"a scan of {shape} voxels with {classes} classes must fit into memory, needs about "
            f"{needed / 1e9:.1f} GB beside the network's own and {free / 1e9:.1f} GB are free",
            remedy="use a smaller part of the scan (the gate of medseg predict), its fast setting, which mirrors "
            "nothing, or a machine with more memory",
        )


def sums_bytes(layout: WindowLayout, *, classes: int) -> int:
    """Bytes of the float32 sums of logits and weights of each flipped copy's unfinished planes."""
    return 4 * len(layout.copies) * (classes + 1) * math.prod(layout.buffer_shape)


def slab_bytes(layout: WindowLayout, part: Geometry, *, classes: int) -> int:
    """Bytes of the finished planes that wait for the next ones, and of the slab of native slices made from them."""
    grid_voxels = math.prod(len(extent) for extent in layout.box)
    plane = 4 * classes * grid_voxels // len(layout.box[layout.axis])
    chunk = min(max(CHUNK_BYTES, plane), 4 * classes * grid_voxels)
    if is_decided_by_cells(classes, part):
        return 3 * chunk + 2 * plane  # activated, and with the channels last; the planes on both sides of a cell
    native_slice = 4 * classes * max(math.prod(part.shape) // size for size in part.shape)
    waiting = min(max(SLAB_BYTES // 4, plane) + chunk, 4 * classes * grid_voxels)
    drawn = min(max(SLAB_BYTES, native_slice), 4 * classes * math.prod(part.shape))
    return 2 * waiting + 3 * drawn  # concatenated and split; interpolated between two neighbours


def scan_bytes(layout: WindowLayout, native: Geometry, *, channels: int) -> int:
    """Bytes of a scan that is half resampled, the image on the network's grid with a temporary copy, and the mask."""
    image = math.prod(len(extent) for extent in layout.seen)
    return 4 * channels * (math.prod(native.shape) + 2 * image) + 2 * math.prod(native.shape)
