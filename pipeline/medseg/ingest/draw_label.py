"""Labels drawn on the grid of their image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from medseg.errors import GeometryError
from medseg.geometry import Geometry
from medseg.ingest.image_source import ImageSource
from medseg.ingest.label_source import LabelSource, read_mask
from medseg.ingest.outside_image import outside_note, voxels_outside
from medseg.records import Labelmap, Scan
from medseg.scans import is_picture_file, read_layers, regrid, scaling_note
from medseg.scans.dicom import Drawn, draw_label_object

_ON_GRID = 0.1
_ON_GRID_AFTER_REPAIR = 0.5


class _Placed(NamedTuple):
    """A mask on the grid of its image.

    Attributes:
        stored: Label values on the mask's own grid.
        array: Label values on the image's grid.
        outside: Number of voxels of each value that lie outside the image.
    """

    stored: Labelmap
    array: Labelmap
    outside: Counter[int]

    def notes(self, values: Collection[int]) -> tuple[str, ...]:
        """Notes on the voxels of some values that found no place in the image."""
        if not self.outside and self.array is not self.stored and not np.isin(self.array, list(values)).any():
            count = np.count_nonzero(np.isin(self.stored, list(values)))
            return (f"no voxel centre of the image lies in its {count} labelled voxel(s)",) if count else ()
        return outside_note(self.stored, values, self.outside)


def draw_label(label: LabelSource, image: ImageSource, *, may_regrid: bool) -> Iterator[Drawn]:
    """Draw each structure on an image's grid, one at a time.

    Args:
        label: Label to draw.
        image: Image whose grid it is drawn on.
        may_regrid: Whether a label on another grid is resampled (nearest) instead of refused.

    Raises:
        GeometryError: If the label lies on another grid.
        ScanError: If the label is damaged, or the image has no grid.
    """
    if label.label_object is not None:
        tolerance = _ON_GRID_AFTER_REPAIR if image.is_moved or may_regrid else _ON_GRID
        yield from draw_label_object(label.label_object, image.known_grid(), tolerance=tolerance)
        return
    if label.segments:
        yield from _draw_layers(label, image, may_regrid=may_regrid)
        return
    placed, notes = _mask_on_image(label, image, may_regrid=may_regrid)
    for number, name in enumerate(label.names):
        members = [value for value, called in (label.values or {}).items() if called == name]
        yield Drawn(name, np.isin(placed.array, members), (*(notes if number == 0 else ()), *placed.notes(members)))


def _draw_layers(label: LabelSource, image: ImageSource, *, may_regrid: bool) -> Iterator[Drawn]:
    """Each segment of a file whose segments may overlap."""
    layers, own = read_layers(label.path, case_id="mask")
    grid = image.known_grid()
    for number, segment in enumerate(label.segments):
        mask = (layers[segment.layer] == segment.value).astype(np.uint8)
        placed = _placed(mask, own, grid, may_regrid=may_regrid)
        notes = (_how(own, grid),) if number == 0 and not own.is_close(grid) else ()
        yield Drawn(segment.name, placed.array > 0, (*notes, *placed.notes((1,))))


def draw_values(label: LabelSource, image: ImageSource, *, may_regrid: bool) -> tuple[Labelmap, tuple[str, ...]]:
    """The values of a mask file on the grid of an image, and notes if they were scaled, turned or resampled."""
    placed, notes = _mask_on_image(label, image, may_regrid=may_regrid)
    return placed.array, (*notes, *outside_note(placed.stored, (label.values or placed.outside).keys(), placed.outside))


def lies_on(label: LabelSource, image: ImageSource) -> bool:
    """Whether a mask file lies on the grid of an image, up to the order and direction of its axes."""
    if label.grid is None or image.grid is None:
        return False
    if image.is_picture and is_picture_file(label.path):
        return label.grid.shape == image.grid.shape
    return label.grid.reoriented(image.grid.axcodes).is_close(image.grid)


def on_grid(mask: Labelmap, own: Geometry, grid: Geometry, *, may_regrid: bool) -> Labelmap:
    """A mask on the grid of an image: unchanged, with axes flipped or swapped, filled up, or resampled if allowed.

    Raises:
        GeometryError: If the mask must be resampled and that is not allowed.
    """
    if own.is_close(grid):
        return mask
    turned = own.reoriented(grid.axcodes)
    start = _first_voxel(turned, grid)
    if start is not None:
        order = [found.source_axis for found in turned.axis_maps(own)]
        flips = tuple(slice(None, None, -1 if found.scale < 0 else 1) for found in turned.axis_maps(own))
        return _filled_up(np.ascontiguousarray(mask.transpose(order)[flips]), start, grid.shape)
    if not may_regrid:
        raise GeometryError(
            f"label must lie on the grid of its image, got {own.difference(grid)}",
            remedy="ingest with the repair grids to resample it (nearest), or export it again",
        )
    return np.asarray(regrid(Scan(mask[np.newaxis], own), grid, order="nearest")[0])


def _first_voxel(own: Geometry, grid: Geometry) -> tuple[int, int, int] | None:
    """Voxel of a grid at which a mask that was cropped to a part of it begins; None if its voxels are others."""
    corner = grid.voxels(own.world_mm(np.zeros(3)))
    i, j, k = (round(float(place)) for place in corner)
    moved = grid.affine.copy()
    moved[:3, 3] += grid.affine[:3, :3] @ np.array([i, j, k])
    sizes = zip((i, j, k), own.shape, grid.shape, strict=True)
    inside = all(first >= 0 and first + size <= whole for first, size, whole in sizes)
    return (i, j, k) if inside and own.is_close(Geometry(own.shape, moved)) else None


def _filled_up(mask: Labelmap, start: tuple[int, int, int], shape: tuple[int, int, int]) -> Labelmap:
    """A mask with background around it, as its program showed it."""
    if mask.shape == shape:
        return mask
    whole = np.zeros(shape, mask.dtype)
    whole[tuple(slice(first, first + size) for first, size in zip(start, mask.shape, strict=True))] = mask
    return whole


def _placed(mask: Labelmap, own: Geometry, grid: Geometry, *, may_regrid: bool) -> _Placed:
    """A mask on the grid of its image, with what lies outside."""
    array = on_grid(mask, own, grid, may_regrid=may_regrid)
    return _Placed(mask, array, Counter() if array is mask else voxels_outside(mask, own, grid))


def _mask_on_image(label: LabelSource, image: ImageSource, *, may_regrid: bool) -> tuple[_Placed, tuple[str, ...]]:
    """The values of a mask file on its image's grid, and notes if they were scaled, turned or resampled."""
    mask, stored = read_mask(label.path)
    own, grid = _place(label, stored, image), image.known_grid()
    placed = _placed(mask, own, grid, may_regrid=may_regrid)
    notes = () if own.is_close(grid) or placed.array is mask else (_how(own, grid),)
    scaling = scaling_note(label.path)
    return placed, (*notes, f"its values are scaled{scaling}") if scaling else notes


def _place(label: LabelSource, stored: Geometry, image: ImageSource) -> Geometry:
    """Grid of a mask; a mask picture has no grid of its own and takes that of its image.

    Raises:
        GeometryError: If a mask picture has another size than its image, which no repair can fix.
    """
    grid = image.known_grid()
    if not is_picture_file(label.path):
        return stored
    if not image.is_picture or stored.shape != grid.shape:
        raise GeometryError(
            f"a mask picture must have its image's size {grid.shape[:2]}, got {stored.shape[:2]}",
            remedy="export it again",
        )
    return grid


def _how(own: Geometry, grid: Geometry) -> str:
    turned = own.reoriented(grid.axcodes)
    if turned.is_close(grid):
        return f"its axes were turned from {own.axcodes} to the image's {grid.axcodes}"
    if _first_voxel(turned, grid) is not None:
        return f"it was stored cropped to {own.shape} voxels, and filled up with background to the image's {grid.shape}"
    return "it was resampled (nearest) onto the image's grid"
