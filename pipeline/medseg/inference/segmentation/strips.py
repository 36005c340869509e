"""A large scan of many classes, drawn strip by strip, so that the sums of logits fit into memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from medseg.geometry import Geometry
from medseg.inference.segmentation.config import InferenceConfig
from medseg.inference.segmentation.mask_model import Observer
from medseg.inference.segmentation.memory import sums_bytes
from medseg.inference.segmentation.sliding import probability_planes
from medseg.inference.segmentation.windows import WindowLayout, lay_out_windows
from medseg.networks.precision import PrecisionKind
from medseg.preprocess import Box, box_around, part_of
from medseg.preprocess.body import slices_of
from medseg.preprocess.segmentation.restore import restore_planes
from medseg.records import Array
from medseg.targets import VoxelTarget

MOST_SUMS = 3 * 2**30
"""Bytes of sums above which a scan is cut: 118 classes on 512×512×275 voxels and windows of 64³ would take 4 GiB."""


class Strip(NamedTuple):
    """A part of a scan that is drawn by itself.

    Attributes:
        box: Voxels of the scan.
        layout: Windows that its voxels on the network's grid need.
        fresh: Voxels of the layout's box, along the axis of the cuts, that no strip before has had.
        axis: Axis of the network's grid that is cut.
    """

    box: Box
    layout: WindowLayout
    fresh: range
    axis: int


def lay_out_strips(
    whole: WindowLayout,
    native: Geometry,
    grid: Geometry,
    config: InferenceConfig,
    *,
    classes: int,
    device: torch.device,
) -> tuple[Strip, ...]:
    """Cut a scan across the axis along which it has most windows, so that each strip's sums are about as large.

    All windows that touch a strip are laid for it, so its values are those of the whole scan, and windows on a cut are
    computed twice.

    Args:
        whole: Windows of the whole scan.
        native: Grid of the scan.
        grid: The network's grid.
        config: Window, overlap, windows per forward pass and flips.
        classes: Number of output channels.
        device: Device that the network runs on; on a GPU, whose memory holds the sums, nothing is cut.

    Returns:
        Strips in the order of their places on the network's grid; none where the whole scan fits.
    """
    count = math.ceil(sums_bytes(whole, classes=classes) / MOST_SUMS)
    if count < 2 or device.type != "cpu":
        return ()
    axis = max({0, 1, 2} - {whole.axis}, key=lambda n: len(whole.box[n]) / whole.patch_size[n])
    maps = native.axis_maps(grid)
    along = next(n for n, axis_map in enumerate(maps) if axis_map.source_axis == axis)
    cuts = np.linspace(0, native.shape[along], min(count, native.shape[along]) + 1).astype(int).tolist()
    parts = [range(first, last) for first, last in pairwise(cuts)]
    boxes = [_with([range(size) for size in native.shape], along, part) for part in parts]
    on_grid = sorted(((box_around(part_of(native, box), grid)[axis], box) for box in boxes), key=_start)
    ends = [*(extent.start for extent, _ in on_grid[1:]), whole.box[axis].stop]
    strips, done = [], whole.box[axis].start
    for (seen, box), after in zip(on_grid, ends, strict=True):
        extent = range(min(seen.start, done), max(seen.stop, after))  # without gaps between strips
        layout = lay_out_windows(grid.shape, config, box=_with(whole.box, axis, extent), axis=whole.axis)
        strips.append(Strip(box, layout, range(done - extent.start, len(extent)), axis))
        done = extent.stop
    return tuple(strips)


def draw_strips(
    network: nn.Module,
    image: Tensor,
    seen: Box,
    strips: Sequence[Strip],
    *,
    grid: Geometry,
    native: Geometry,
    target: VoxelTarget,
    device: torch.device,
    precision: PrecisionKind,
    observe: Observer | None = None,
) -> Array:
    """The mask of a scan on its own grid, drawn strip by strip.

    Args:
        network: Network in evaluation mode, on `device`.
        image: Preprocessed image `(C, I, J, K)` of some voxels of the network's grid.
        seen: Those voxels.
        strips: Strips of the scan.
        grid: The network's grid.
        native: Grid of the scan.
        target: Meaning of the channels.
        device: Device that holds the network.
        precision: Number format of the forward pass.
        observe: Function that sees the values on the way, each voxel once.
    """
    mask = target.blank(native.shape)
    for strip in strips:
        layout = strip.layout
        own = tuple(slice(o.start - s.start, o.stop - s.start) for o, s in zip(layout.seen, seen, strict=True))
        part = image[(slice(None), *own)]
        chunks = probability_planes(network, part, layout, target=target, device=device, precision=precision)
        watched = chunks if observe is None else _fresh(chunks, strip, observe)
        drawn = restore_planes(
            watched, part_of(grid, layout.box), part_of(native, strip.box), target=target, axis=layout.axis
        )
        mask[(..., *slices_of(strip.box))] = drawn
    return mask


def _fresh(chunks: Iterator[Tensor], strip: Strip, observe: Observer) -> Iterator[Tensor]:
    """The same chunks, of which the observer sees what no strip before has had."""
    for chunk in chunks:
        if strip.fresh:
            observe(chunk.narrow(strip.axis + 1, strip.fresh.start, len(strip.fresh)))
        yield chunk


def _start(placed: tuple[range, Box]) -> int:
    return placed[0].start


def _with(box: Sequence[range], axis: int, extent: range) -> Box:
    """A box with another extent along one axis."""
    i, j, k = (extent if n == axis else side for n, side in enumerate(box))
    return i, j, k
