"""Logits on a grid between whose voxels they may be interpolated linearly, as nnU-Net resamples them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from medseg.geometry import Geometry
from medseg.inference.segmentation.value_planes import ValuePlanes
from medseg.inference.segmentation.windows import WindowLayout
from medseg.preprocess import Box, part_of
from medseg.preprocess.nnunet import NnunetGrids
from medseg.preprocess.nnunet.grid import nearest_planes, resized
from medseg.records import Array
from medseg.targets import VoxelTarget


def logit_planes(
    chunks: Iterable[Tensor],
    layout: WindowLayout,
    grids: NnunetGrids,
    *,
    native: Geometry,
    target: VoxelTarget,
    coarse_axis: int | None,
) -> ValuePlanes:
    """Logits of the layout's box on the network's grid, or on one with the scan's own planes along the coarse axis.

    Args:
        chunks: Logits `(C, I, J, K)` of the layout's box, in rising order along its streaming axis.
        layout: Windows that gave them.
        grids: Grids of the cropped scan.
        native: Part of the scan's grid that is drawn.
        target: Meaning of the logits.
        coarse_axis: Axis along which the nearest plane is taken instead of an interpolation; None where there is none.
    """
    if coarse_axis is None:
        return ValuePlanes(chunks, part_of(grids.network, layout.box), layout.axis, target)
    wanted = _extent(native, grids.native, coarse_axis)
    sizes, box = list(grids.network.shape), list(layout.box)
    sizes[coarse_axis], box[coarse_axis] = grids.native.shape[coarse_axis], wanted
    nearest = nearest_planes(sizes[coarse_axis], grids.network.shape[coarse_axis])[wanted.start : wanted.stop]
    repeated = _repeated(chunks, layout.axis, coarse_axis, nearest - layout.box[coarse_axis].start)
    part: Box = (box[0], box[1], box[2])
    grid = part_of(resized(grids.native, (sizes[0], sizes[1], sizes[2])), part)
    return ValuePlanes(repeated, grid, layout.axis, target)


def _repeated(chunks: Iterable[Tensor], streaming: int, axis: int, planes: Array) -> Iterator[Tensor]:
    """Chunks with each plane of one axis as often as it is the nearest one."""
    start = 0
    for chunk in chunks:
        used = planes
        if streaming == axis:
            stop = start + chunk.shape[axis + 1]
            used, start = planes[(planes >= start) & (planes < stop)] - start, stop
        if len(used):
            yield chunk.index_select(axis + 1, torch.from_numpy(used).to(chunk.device))


def _extent(part: Geometry, whole: Geometry, axis: int) -> range:
    """Voxels of a grid along one axis that a part of it, with axes in another order, has."""
    number, axis_map = next(
        (number, axis_map) for number, axis_map in enumerate(part.axis_maps(whole)) if axis_map.source_axis == axis
    )
    last = axis_map.offset + axis_map.scale * (part.shape[number] - 1)
    return range(round(min(axis_map.offset, last)), round(max(axis_map.offset, last)) + 1)
