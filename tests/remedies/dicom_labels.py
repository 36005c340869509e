"""Remedies of label objects that do not lie on the voxels of their image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from medseg.geometry import Geometry
from medseg.scans.dicom import draw_label_object, read_label_object
from pydicom.dataset import Dataset

from tests.dicom_files import write_structure_set
from tests.grids import grid
from tests.ingest.sources import GRID, block, write_ct, write_seg
from tests.remedies.attempts import tries

Again = Iterator[Callable[[], object]]
MASK = block(slice(2, 6), slice(2, 6), slice(1, 4))
OFF_GRID = "ingest with the repair grids to move it onto the nearest voxels, or export it on the image's grid"


def drawn(path: Path, *, tolerance: float = 0.1) -> None:
    """Draw the structures of an object; each must have voxels."""
    for one in draw_label_object(read_label_object(path), GRID, tolerance=tolerance):
        if not one.mask.any():
            raise LookupError(f"structure {one.name} is empty")


@tries("scans/dicom/contours.py", "export it as a DICOM SEG")
def _oblique_contours(place: Path) -> Again:
    images = write_ct(place / "ct")
    corners = np.array([[2, 2, 1], [6, 2, 1], [6, 6, 4], [2, 6, 4]])
    slanted = GRID.world_mm(corners.astype(float)) * [-1, -1, 1]
    write_structure_set({"liver": [slanted, slanted + np.array([0, 0, 0.1])]}, images, place / "rs")
    yield lambda: drawn(place / "rs")
    write_seg({"liver": MASK}, images, place / "seg")
    yield lambda: drawn(place / "seg")


def _exported_on_the_grid(place: Path, own: Geometry, *, is_repaired: bool) -> Again:
    images = write_ct(place / "ct")
    write_seg({"liver": MASK}, _moved(place, own), place / "other")
    yield lambda: drawn(place / "other")
    if is_repaired:
        yield lambda: drawn(place / "other", tolerance=0.5)
    write_seg({"liver": MASK}, images, place / "seg")
    yield lambda: drawn(place / "seg")


def _moved(place: Path, own: Geometry) -> list[Dataset]:
    return list(write_ct(place / "elsewhere", own))


def _half_a_voxel_away() -> Geometry:
    affine = GRID.affine.copy()
    affine[:3, 3] += 0.4 * affine[:3, 0]
    return Geometry(GRID.shape, affine)


def _coarser() -> Geometry:
    return grid(GRID.shape, spacing_mm=(3.0, 3.0, 4.0), origin_mm=(-20, 30, 100), axcodes="LPS")


def _turned() -> Geometry:
    about_k = grid((1, 1, 1), angles=(0.0, 0.0, 0.06)).affine
    return Geometry(GRID.shape, GRID.affine @ about_k)


tries("scans/dicom/segments.py", OFF_GRID)(
    lambda place: _exported_on_the_grid(place, _half_a_voxel_away(), is_repaired=True)
)
for _own in (_coarser, _turned):
    tries("scans/dicom/segments.py", "export it on the image's grid")(
        partial(lambda place, own: _exported_on_the_grid(place, own(), is_repaired=False), own=_own)
    )
