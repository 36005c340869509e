"""A scan on the grid of an adopted model, ready for its mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medseg.geometry import Geometry
from medseg.inference.nnunet.layout import importance_map, nnunet_layout
from medseg.inference.nnunet.logit_planes import logit_planes
from medseg.inference.segmentation.mask_model import Drawing, Observer
from medseg.inference.segmentation.memory import check_memory
from medseg.inference.segmentation.sliding import probability_planes
from medseg.inference.segmentation.value_planes import ValuePlanes
from medseg.inference.slab import Slab
from medseg.preprocess import Box, box_around, part_of
from medseg.preprocess.body import overlap, slices_of, whole_box
from medseg.preprocess.nnunet import StageLabels, nnunet_grids, nnunet_image
from medseg.preprocess.segmentation.restore import begin_loading, restore_planes
from medseg.records import Scan
from medseg.targets import VoxelTarget, on_logits

if TYPE_CHECKING:
    from medseg.inference.nnunet.model import AdoptedModel


class PreparedAdopted:
    """The part of a scan that is not 0, on the network's grid.

    Args:
        model: Loaded model.
        scan: Scan as it was read; it is not kept.
        slab: Slices to segment; all if not given.

    Attributes:
        shape: Voxels of the whole scan.
        box: Voxels of the scan that are drawn; ranges are empty where there are none.
        native: Grid of the box.
        needed_bytes: Memory that preparing and drawing take.

    Raises:
        GeometryError: If the slab reaches beyond the scan.
        ScanError: If the scan needs more memory than is free.
    """

    def __init__(self, model: AdoptedModel, scan: Scan, slab: Slab | None) -> None:
        self._model = model
        self.shape = scan.geometry.shape
        self.needed_bytes = 0
        self._grids = nnunet_grids(scan, model.card.preprocess)
        self.box = overlap(_wanted(slab, scan.geometry), self._grids.box)
        if not all(self.box):
            return
        self.native = part_of(scan.geometry, self.box)
        network = self._grids.network
        self._layout = nnunet_layout(
            network.shape, model.card.patch_size, step=model.card.step, box=box_around(self.native, network)
        )
        self.needed_bytes = check_memory(
            self._layout,
            scan.geometry,
            self.native,
            channels=model.card.network.in_channels,
            classes=model.target.channels,
            device=model.device,
        )
        target = on_logits(model.target, in_half=True)
        begin_loading(network, self.native, target=target, axis=self._layout.axis, device=model.device)
        image = nnunet_image(scan, self._grids, model.card.preprocess, earlier=_earlier_labels(model, scan))
        self._image = image[(slice(None), *slices_of(self._layout.seen))]

    def draw(self, *, observe: Observer | None = None) -> Drawing:
        """Run the networks and decide on the scan's own grid."""
        target = self._model.target
        mask = target.blank(self.shape)
        if all(self.box):
            planes = self.planes()
            chunks = planes.chunks if observe is None else _observed(planes.chunks, target, observe)
            mask[slices_of(self.box)] = restore_planes(
                chunks, planes.grid, self.native, target=planes.target, axis=planes.axis
            )
        return Drawing(mask)

    def planes(self) -> ValuePlanes:
        """Mean logits of what is drawn."""
        model, target = self._model, on_logits(self._model.target, in_half=True)
        chunks = probability_planes(
            model.network,
            self._image,
            self._layout,
            target=target,
            device=model.device,
            precision=model.precision,
            importance=importance_map(self._layout.patch_size),
            sums=torch.half,  # as nnU-Net's are, so that logits that are almost equal are decided as it decides
        )
        rule = model.card.preprocess.logits
        # Order 1 along the coarse axis interpolates there as along the others.
        coarse = self._grids.coarse_axis(rule, is_back=True) if rule.order_z == 0 else None
        return logit_planes(chunks, self._layout, self._grids, native=self.native, target=target, coarse_axis=coarse)


def _earlier_labels(model: AdoptedModel, scan: Scan) -> StageLabels | None:
    if model.earlier is None:
        return None
    return StageLabels(model.earlier.mask(scan), model.card.label_values)


def _observed(chunks: Iterable[Tensor], target: VoxelTarget, observe: Observer) -> Iterator[Tensor]:
    for chunk in chunks:
        observe(target.activate(chunk))
        yield chunk


def _wanted(slab: Slab | None, geometry: Geometry) -> Box:
    """All voxels of a slab's slices, or of the whole scan.

    Raises:
        GeometryError: If the slab reaches beyond the scan.
    """
    if slab is None:
        return whole_box(geometry.shape)
    extent = range(slab.start, slab.stop)
    if not slab.is_empty:
        geometry.cropped(slab.axis, extent)
    i, j, k = (extent if axis == slab.axis else range(size) for axis, size in enumerate(geometry.shape))
    return i, j, k
