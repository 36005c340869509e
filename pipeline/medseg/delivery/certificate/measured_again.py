"""Measurements of the mask that a library read back, against which tables, reports and pages are checked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from medseg.delivery.certificate.check_file import SAME_VOLUME, CheckedStructure, ReadMasks, same_place_mm
from medseg.delivery.certificate.contents import Number
from medseg.delivery.certificate.expected import ExpectedMask, ExpectedStructure
from medseg.delivery.measurements import StructureMeasurements, measure_structures
from medseg.records import Mask, Scan

_TINY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredAgain:
    """Measurements of a mask that was read back.

    Attributes:
        structures: Measurements in the order of the structures.
        place_mm: Distance by which one and the same place may differ between two libraries.
    """

    structures: tuple[StructureMeasurements, ...]
    place_mm: float

    def near(self, value: float, share: float) -> Number:
        """A number that was rounded by at most a share of it."""
        return Number(value, abs(value) * share + _TINY)

    def near_volume(self, volume_ml: float, *, share: float = SAME_VOLUME) -> Number:
        """A volume by the voxel size of another library."""
        return self.near(volume_ml, share)

    def near_place(self, place_mm: float) -> Number:
        """A coordinate by the grid of another library."""
        return Number(place_mm, self.place_mm)


def measure_again(found: ReadMasks, expected: ExpectedMask, scan: Scan) -> MeasuredAgain:
    """Measure the mask that a library read.

    Voxels, volumes and centroids are counted by the grid that the library gives; diameters and intensities are taken
    of the voxels that it read.

    Args:
        found: What the library read, which passed its comparison with the mask.
        expected: The mask.
        scan: Scan that the mask was drawn on.
    """
    rows = zip(expected.structures, found.checked.structures, found.masks(), strict=True)
    return MeasuredAgain(structures=tuple(_measured(*row, scan) for row in rows), place_mm=same_place_mm(scan.geometry))


def _measured(structure: ExpectedStructure, row: CheckedStructure, mask: Mask, scan: Scan) -> StructureMeasurements:
    segment = structure.segment
    if structure.box is None:
        return StructureMeasurements(number=segment.number, name=segment.name, voxels=0, volume_ml=0.0)
    part = scan.geometry
    for axis, extent in enumerate(structure.box):
        part = part.cropped(axis, range(extent.start, extent.stop))
    alone = Scan(scan.array[(slice(None), *structure.box)], part, scan.origin)
    (one,) = measure_structures(mask.astype(np.uint8), (replace(segment, values=(1,)),), alone)
    start = tuple(extent.start for extent in structure.box)
    return replace(
        one,
        voxels=row.voxels_found,
        volume_ml=row.volume_ml_found,
        centroid_mm=row.centroid_mm_found,
        first_voxel=_moved(one.first_voxel, start),
        last_voxel=_moved(one.last_voxel, start),
        slice_index=None if one.slice_index is None else one.slice_index + start[2],
    )


def _moved(voxel: tuple[int, int, int] | None, start: tuple[int, ...]) -> tuple[int, int, int] | None:
    if voxel is None:
        return None
    return voxel[0] + start[0], voxel[1] + start[1], voxel[2] + start[2]
