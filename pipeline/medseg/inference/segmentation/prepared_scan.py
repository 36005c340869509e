"""A scan on the grid of a network, ready for its mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from medseg.geometry import Geometry
from medseg.inference.segmentation.head.prepared import PreparedHead
from medseg.inference.segmentation.mask_model import Drawing, Observer
from medseg.inference.segmentation.memory import check_memory, drawing_bytes
from medseg.inference.segmentation.postprocess import postprocessed
from medseg.inference.segmentation.sliding import probability_planes
from medseg.inference.segmentation.strips import draw_strips, lay_out_strips
from medseg.inference.segmentation.value_planes import ValuePlanes
from medseg.inference.segmentation.windows import lay_out_windows
from medseg.inference.slab import Slab
from medseg.preprocess import Box, box_around, crop_to_body, network_grid, part_of, preprocess_scan
from medseg.preprocess.body import overlap, slices_of, whole_box
from medseg.preprocess.segmentation.restore import begin_loading, restore_planes
from medseg.records import Array, Scan

if TYPE_CHECKING:
    from medseg.inference.segmentation.predictor import Predictor


class PreparedScan:
    """The part of a scan that a network is to see, on the network's grid.

    Args:
        model: Loaded network.
        scan: Scan as it was read; it is not kept.
        slab: Slices to segment; all if not given.
        others: The scan as it was prepared for other networks. The image is used again where it is the same, and planes
            follow each other along the same axis of the scan as the first's.

    Attributes:
        shape: Voxels of the whole scan.
        box: Voxels of the scan that are drawn; ranges are empty where there are none.
        native: Grid of the box.
        along: Axis of the scan along which planes are finished.
        needed_bytes: Memory that preparing and drawing take if it is not drawn strip by strip.

    Raises:
        GeometryError: If the slab reaches beyond the scan.
        ScanError: If the scan needs more memory than is free.
    """

    def __init__(self, model: Predictor, scan: Scan, slab: Slab | None, *, others: Sequence[PreparedScan] = ()) -> None:
        self._model = model
        self.shape = scan.geometry.shape
        self._voxel_ml = scan.geometry.voxel_ml
        self._head: PreparedHead | None = None
        seen = crop_to_body(scan, model.card.preprocess)
        self.box = overlap(_wanted(slab, scan.geometry), seen.box)
        self.is_empty = not all(self.box)
        self.needed_bytes = 0
        if model.card.head is not None:
            self._head = PreparedHead(model.card.head, scan.geometry)
        if self.is_empty:
            return
        self.native = part_of(scan.geometry, self.box)
        grid = network_grid(seen.scan.geometry, model.card.preprocess)
        if self._head is not None:
            self._head.begin(grid)
        windows = model.card.inference.for_image(grid.shape, multiple=model.card.network.patch_multiple)
        axis_maps = self.native.axis_maps(grid)
        along = next((other.along for other in others if not other.is_empty), None)
        axis = axis_maps[along].source_axis if along is not None else None
        self._layout = lay_out_windows(grid.shape, windows, box=box_around(self.native, grid), axis=axis)
        self.along: int = [axis_map.source_axis for axis_map in axis_maps].index(self._layout.axis)
        self._grid, self._whole_grid = part_of(grid, self._layout.box), grid
        sizes: dict[str, Any] = {"channels": len(scan.array), "classes": model.target.channels, "device": model.device}
        self._strips = (
            lay_out_strips(self._layout, self.native, grid, windows, classes=model.target.channels, device=model.device)
            if self._head is None  # which sums over the whole scan
            else []
        )
        for layout in [strip.layout for strip in self._strips] or [self._layout]:
            check_memory(layout, seen.scan.geometry, self.native, **sizes)
        self.needed_bytes = drawing_bytes(self._layout, seen.scan.geometry, self.native, **sizes)
        begin_loading(self._grid, self.native, target=model.target, axis=self._layout.axis, device=model.device)
        same = next((other for other in others if other._has_image_of(self)), None)
        self._image: Tensor = (
            same._image
            if same is not None
            else preprocess_scan(seen.scan, model.card.preprocess, box=self._layout.seen)[0]
        )

    def draw(self, *, observe: Observer | None = None) -> Drawing:
        """Run the network and decide on the scan's own grid."""
        target = self._model.target
        if self.is_empty:
            return self._with_head(Drawing(target.blank(self.shape)))
        part = self._drawn_in_strips(observe) if self._strips else self._drawn_at_once(observe)
        if self.box == whole_box(self.shape):
            return self._with_head(self.finished(Drawing(part)))
        mask = target.blank(self.shape)
        mask[(..., *slices_of(self.box))] = part
        return self._with_head(self.finished(Drawing(mask)))

    def _with_head(self, drawing: Drawing) -> Drawing:
        """A drawing with what the head found, if there is one."""
        return drawing if self._head is None else replace(drawing, head=self._head.logits())

    def _drawn_at_once(self, observe: Observer | None) -> Array:
        planes = self.planes()
        chunks = planes.chunks if observe is None else observed(planes.chunks, observe)
        return restore_planes(chunks, planes.grid, self.native, target=self._model.target, axis=planes.axis)

    def _drawn_in_strips(self, observe: Observer | None) -> Array:
        model = self._model
        return draw_strips(
            model.network,
            self._image,
            self._layout.seen,
            self._strips,
            grid=self._whole_grid,
            native=self.native,
            target=model.target,
            device=model.device,
            precision=model.precision,
            observe=observe,
        )

    def finished(self, drawing: Drawing) -> Drawing:
        """A drawing of the whole scan after the model's postprocessing."""
        model = self._model
        return postprocessed(drawing, model.postprocessing, target=model.target, voxel_ml=self._voxel_ml)

    def _has_image_of(self, other: PreparedScan) -> bool:
        """Whether another network sees the same image."""
        return (
            not self.is_empty
            and self._model.card.preprocess == other._model.card.preprocess
            and self._layout.seen == other._layout.seen
        )

    def planes(self) -> ValuePlanes:
        """Probabilities of what is drawn, as the network gives them."""
        model = self._model
        chunks = probability_planes(
            model.network,
            self._image,
            self._layout,
            target=model.target,
            device=model.device,
            precision=model.precision,
            head=self._head.sums if self._head is not None else None,
        )
        return ValuePlanes(chunks, self._grid, self._layout.axis, model.target)


def observed(chunks: Iterable[Tensor], observe: Observer) -> Iterator[Tensor]:
    """The same chunks, each of which the observer sees before it is used."""
    for chunk in chunks:
        observe(chunk)
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
