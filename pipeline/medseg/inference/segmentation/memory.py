"""Whether a scan fits into the memory that is free; the operating system ends a whole cohort that takes more."""

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
    plan: WindowLayout, native: Geometry, part: Geometry, *, channels: int, classes: int, device: torch.device
) -> None:
    """Refuse what needs more memory than is free.

    Args:
        plan: Windows over the network's grid.
        native: The scan's grid.
        part: The part of it that is drawn.
        channels: Of the image.
        classes: Of the network.
        device: Where the network runs; on a GPU its sums take none of this memory.

    Raises:
        ScanError: With both numbers.
    """
    needed = scan_bytes(plan, native, channels=channels)
    if device.type == "cpu":
        needed += sums_bytes(plan, classes=classes) + slab_bytes(plan, part, classes=classes)
    free = psutil.virtual_memory().available
    if needed > free:
        raise ScanError(
            f"a scan of {native.shape} voxels with {classes} classes must fit into memory, needs about "
            f"{needed / 1e9:.1f} GB beside the network's own and {free / 1e9:.1f} GB are free; use a smaller part "
            "of the scan (the gate), fewer mirror axes or a machine with more memory"
        )


def sums_bytes(plan: WindowLayout, *, classes: int) -> int:
    """Float32 sums of logits and weights of the unfinished planes, of each flipped copy."""
    return 4 * len(plan.copies) * (classes + 1) * math.prod(plan.buffer_shape)


def slab_bytes(plan: WindowLayout, part: Geometry, *, classes: int) -> int:
    """Finished planes that wait for the next ones, and the slab of native slices that is made from them."""
    grid_voxels = math.prod(len(extent) for extent in plan.box)
    plane = 4 * classes * grid_voxels // len(plan.box[plan.axis])
    native_slice = 4 * classes * max(math.prod(part.shape) // size for size in part.shape)
    waiting = min(max(SLAB_BYTES // 4, plane) + max(CHUNK_BYTES, plane), 4 * classes * grid_voxels)
    drawn = min(max(SLAB_BYTES, native_slice), 4 * classes * math.prod(part.shape))
    return 2 * waiting + 3 * drawn  # joined and taken apart; interpolated between two neighbours


def scan_bytes(plan: WindowLayout, native: Geometry, *, channels: int) -> int:
    """The normalised scan, the image on the network's grid, each with a copy on the way, and the mask."""
    image = math.prod(len(extent) for extent in plan.seen)
    return 4 * channels * 2 * (math.prod(native.shape) + image) + 2 * math.prod(native.shape)
