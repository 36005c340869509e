"""Whether a library reads from a file what the mask holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from medseg.configuration import Config
from medseg.delivery.certificate.expected import ExpectedMask, ExpectedStructure, mean_voxel
from medseg.delivery.certificate.lattice import Lattice
from medseg.errors import GeometryError
from medseg.geometry import Geometry
from medseg.records import Mask
from medseg.scans.read_back import ReadBack
from medseg.text import printable

SAME_VOLUME = 1e-4  # relative, for voxel sizes in single precision


class CheckedStructure(Config):
    """One structure of a file, as a library reads it.

    Attributes:
        name: Name in the mask.
        voxels: Voxels in the mask.
        voxels_found: Voxels in the file.
        wrong_voxels: Voxels that are in one of the two alone.
        dice: Overlap of both; 1 where both are empty.
        volume_ml: Volume in the mask.
        volume_ml_found: Volume in the file, by the voxel size that the library gives.
        centroid_mm: Centroid in the mask, RAS+; None if it is empty.
        centroid_mm_found: Centroid in the file, RAS+; None if it is empty.
        distance_mm: Distance of both centroids; None where one is missing.
    """

    name: str
    voxels: int
    voxels_found: int
    wrong_voxels: int
    dice: float
    volume_ml: float
    volume_ml_found: float
    centroid_mm: tuple[float, float, float] | None
    centroid_mm_found: tuple[float, float, float] | None
    distance_mm: float | None


class CheckedReader(Config):
    """A file as one library reads it.

    Attributes:
        library: Name and version of the library.
        least_dice: Overlap that each structure must reach; 1 means every voxel.
        is_passed: Whether everything that the mask holds was read, and nothing else.
        reason: First thing that differs, in words; "" if nothing does.
        structures: Structures, those without a voxel among them.
    """

    library: str
    least_dice: float = 1.0
    is_passed: bool
    reason: str
    structures: tuple[CheckedStructure, ...] = ()


class ReadMasks(NamedTuple):
    """What a library read, compared with the mask.

    Attributes:
        checked: The comparison.
        masks: Gives the voxels of each structure as they are read, within the box of the structure; none where the
            grid differs. They are read again one by one: a library makes each mask on the whole grid, and a hundred of
            them, or views of them, would fill the memory.
    """

    checked: CheckedReader
    masks: Callable[[], Iterator[Mask]]


def check_reader(expected: ExpectedMask, found: ReadBack, *, least_dice: float = 1.0) -> CheckedReader:
    """Compare what a library reads with the mask.

    Args:
        expected: The mask.
        found: What the library reads.
        least_dice: Overlap that each structure must reach. Below 1, as for contours, centroids may differ by a quarter
            of a voxel; else by no more than a hundredth of a millimetre or a tenth of a voxel.
    """
    return compare_masks(expected, found, least_dice=least_dice).checked


def compare_masks(expected: ExpectedMask, found: ReadBack, *, least_dice: float = 1.0) -> ReadMasks:
    """The same, with a way to the voxels that were read."""
    try:
        lattice = Lattice.of(expected.geometry, found.geometry)
    except GeometryError as error:
        refused = CheckedReader(library=found.library, least_dice=least_dice, is_passed=False, reason=error.fact)
        return ReadMasks(refused, partial(iter, ()))
    tolerance = same_place_mm(expected.geometry) if least_dice >= 1 else 0.25 * min(expected.geometry.spacing_mm)
    rows, reasons = [], []
    for structure in expected.structures:
        row = _compare(structure, expected.geometry, found, lattice)
        rows.append(row)
        reasons.append(_difference(row, structure, found, least_dice, tolerance))
    reasons.append(_surplus(expected, found))
    reason = next(filter(None, reasons), "")
    checked = CheckedReader(
        library=found.library, least_dice=least_dice, is_passed=not reason, reason=reason, structures=tuple(rows)
    )
    return ReadMasks(checked, partial(_masks, expected, found, lattice))


def same_place_mm(scan: Geometry) -> float:
    """Distance by which one and the same place may differ between two libraries, in millimetres."""
    return min(1e-2, 0.1 * min(scan.spacing_mm))


def _masks(expected: ExpectedMask, found: ReadBack, lattice: Lattice) -> Iterator[Mask]:
    """Voxels of each structure in the file, within its box."""
    for structure in expected.structures:
        number = structure.segment.number
        is_there = number in found.numbers
        yield lattice.cut(found.mask(number), structure) if is_there else np.zeros(structure.shape, bool)


def _compare(structure: ExpectedStructure, scan: Geometry, found: ReadBack, lattice: Lattice) -> CheckedStructure:
    number = structure.segment.number
    voxels_found, wrong = 0, structure.voxels
    centre: tuple[float, float, float] | None = None
    if number in found.numbers:
        mask = found.mask(number)
        voxels_found = int(np.count_nonzero(mask))
        shared = int(np.count_nonzero(lattice.cut(mask, structure) & structure.mask()))
        wrong = structure.voxels + voxels_found - 2 * shared
        if wrong == 0 and structure.centroid_voxel is not None:  # the same voxels, at the places that the file gives
            x, y, z = found.geometry.world_mm(np.array([lattice.file_voxel(structure.centroid_voxel)]))[0]
            centre = (float(x), float(y), float(z))
        elif voxels_found:
            centre = _centroid(mask, found.geometry)
    total = structure.voxels + voxels_found
    distance = math.dist(structure.centroid_mm, centre) if structure.centroid_mm and centre else None
    return CheckedStructure(
        name=structure.segment.name,
        voxels=structure.voxels,
        voxels_found=voxels_found,
        wrong_voxels=wrong,
        dice=(total - wrong) / total if total else 1.0,
        volume_ml=structure.voxels * scan.voxel_ml,
        volume_ml_found=voxels_found * found.geometry.voxel_ml,
        centroid_mm=structure.centroid_mm,
        centroid_mm_found=centre,
        distance_mm=distance,
    )


def _centroid(mask: Mask, geometry: Geometry) -> tuple[float, float, float]:
    """Centroid by the file's own grid; only the box that holds voxels is summed."""
    box = []
    part = mask
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero(part.any(axis=others))
        extent = slice(int(filled[0]), int(filled[-1]) + 1)
        part = part[(slice(None),) * axis + (extent,)]
        box.append(extent.start)
    x, y, z = geometry.world_mm(np.array([mean_voxel(part, box)]))[0]
    return float(x), float(y), float(z)


def _difference(
    row: CheckedStructure, structure: ExpectedStructure, found: ReadBack, least_dice: float, tolerance_mm: float
) -> str:
    """The first thing that differs too much, in words; "" if nothing does."""
    name = row.name
    if row.dice < least_dice:
        return f"{name}: {row.wrong_voxels} voxel(s) differ, Dice {row.dice:.4f}"
    if row.distance_mm is not None and row.distance_mm > tolerance_mm:
        return f"{name}: its centroid lies {row.distance_mm:.3g} mm away{_side(row)}"
    if row.voxels and abs(row.volume_ml_found / row.volume_ml - 1) > max(SAME_VOLUME, 2 * (1 - least_dice)):
        return f"{name}: its volume is {row.volume_ml_found:.5g} ml and not {row.volume_ml:.5g} ml"
    number = structure.segment.number
    shown = found.names.get(number)
    is_unnamed = number not in found.names and (not found.names or not row.voxels)  # some leave out what is empty
    if not is_unnamed and _words(shown or "") != _words(name):
        return f"{name}: the file names it {shown!r}"
    return ""


def _surplus(expected: ExpectedMask, found: ReadBack) -> str:
    """The first thing in the file that the mask does not have, in words; "" if there is none."""
    known = {structure.segment.number for structure in expected.structures}
    others = [number for number in (*found.numbers, *found.names) if number not in known]
    if others:
        return f"the file holds number {others[0]}, which no structure has"
    return f"the file holds value {found.strays[0]}, which no structure has" if found.strays else ""


def _words(name: str) -> list[str]:
    """A name as people read it: files cannot hold every kind of space, nor one at an end."""
    return printable(name).split()


def _side(row: CheckedStructure) -> str:
    """Words on a centroid that would fit if left and right were swapped."""
    if row.centroid_mm is None or row.centroid_mm_found is None or row.distance_mm is None:
        return ""
    x, y, z = row.centroid_mm_found
    is_mirrored = math.dist(row.centroid_mm, (-x, y, z)) < 0.1 * row.distance_mm
    return ", as if left and right were swapped" if is_mirrored else ""
