"""RTSTRUCT: planar contours drawn as masks on an image's grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.records import Mask
from medseg.scans.dicom.elements import numbers, text
from medseg.scans.dicom.outlines import area_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Points = npt.NDArray[np.float64]
NO_CONTOUR = "no contour"
_XOR = "CLOSEDPLANAR_XOR"
_AREAS = ("CLOSED_PLANAR", _XOR, "INTERPOLATED_PLANAR", "")  # the third is written by OsiriX and Horos, not standard
_FLAT = 0.1  # voxels that a planar contour may leave its slice
_FARTHEST_MM = 1e6
_HALF_WAY = 0.51  # slices: planes half-way between two slices all move the same way, in spite of rounding


class _Structure(NamedTuple):
    """The contours of a structure.

    Attributes:
        name: Name of the structure.
        areas: Closed contours, each of shape `(N, 3)`, LPS+ millimetres.
        is_xor: Whether the pixels inside an odd number of them belong to the structure.
        without_area: Number of its other contours by their kind.
    """

    name: str
    areas: list[Points]
    is_xor: bool
    without_area: Counter[str]


def roi_names(dataset: Dataset) -> tuple[str, ...]:
    """Names of the structures that have an area, in stored order."""
    return tuple(structure.name for structure in _structures(dataset) if structure.areas)


def names_without_area(dataset: Dataset) -> dict[str, str]:
    """What each structure without an area holds instead, by its name."""
    return {one.name: _listed(one.without_area) or NO_CONTOUR for one in _structures(dataset) if not one.areas}


def structure_planes(dataset: Dataset) -> Points:
    """One corner of every contour, LPS+ millimetres, `(N, 3)`."""
    corners = [contour[0] for structure in _structures(dataset) for contour in structure.areas]
    return np.array(corners).reshape(-1, 3)


def structure_extents(dataset: Dataset) -> Iterator[tuple[str, float, Points]]:
    """Each structure's name, a measure of its size, and the corners `(2, 3)` of its box in LPS+ millimetres.

    The size is the sum of its outlines' areas in mm², which orders structures of one object as their volumes do where
    their planes are those of the same slices.
    """
    for structure in _structures(dataset):
        if structure.areas:
            points = np.concatenate(structure.areas)
            size = sum(_area_mm2(contour) for contour in structure.areas)
            yield structure.name, size, np.stack([points.min(axis=0), points.max(axis=0)])


def draw_contours(dataset: Dataset, grid: Geometry, tolerance: float) -> Iterator[tuple[str, Mask, tuple[str, ...]]]:
    """Each structure's mask; inner contours are holes, several contours of a slice are one area.

    Args:
        dataset: Structure set.
        grid: Grid of the image.
        tolerance: Voxels that the contours of a slice may lie off it without a note.

    Raises:
        GeometryError: If contours do not lie in slices of the grid.

    Source: PS3.3 C.8.8.6, ROI Contour module.
    """
    structures = (structure for structure in _structures(dataset) if structure.areas)
    for number, structure in enumerate(structures, start=1):
        once = {contour.tobytes(): contour for contour in structure.areas}  # a contour drawn twice would be a hole
        voxels = [grid.voxels_of_lps(contour) for contour in once.values()]
        axis = _slice_axis(voxels, number)
        mask = np.zeros(grid.shape[::-1], bool).T  # slices lie together in memory
        planes = _by_plane(voxels, axis)
        counts = _draw(planes, mask, axis, tolerance, is_xor=structure.is_xor)
        counts["contour(s) are copies of others and were drawn once"] += len(structure.areas) - len(once)
        counts["slice(s) between its first and last contour have none"] += _gaps(mask, axis)
        notes = [f"{count} {what}" for what, count in counts.items() if count]
        if structure.without_area:
            notes.append(f"{_listed(structure.without_area)} have no area and were left out")
        yield structure.name, mask, tuple(notes)


def _structures(dataset: Dataset) -> Iterator[_Structure]:
    """Every structure with its contours, in stored order; last those that only have a name."""
    names = {
        text(roi, "ROINumber"): text(roi, "ROIName") or f"ROI {text(roi, 'ROINumber')}"
        for roi in dataset.get("StructureSetROISequence") or ()
    }
    for roi in dataset.get("ROIContourSequence") or ():
        number = text(roi, "ReferencedROINumber")
        name = names.get(number, f"ROI {number}")
        yield _structure(name, roi)
    drawn = {text(roi, "ReferencedROINumber") for roi in dataset.get("ROIContourSequence") or ()}
    yield from (_Structure(name, [], False, Counter()) for number, name in names.items() if number not in drawn)


def _structure(name: str, roi: Dataset) -> _Structure:
    areas, kinds, others = [], set(), Counter[str]()
    for contour in roi.get("ContourSequence") or ():
        points = _points(contour)
        kind = text(contour, "ContourGeometricType").upper()
        if kind in _AREAS and len(points) >= 3:
            areas.append(points)
            kinds.add(kind)
        else:
            others[_without_area(kind, len(points))] += 1
    return _Structure(name, areas, _XOR in kinds, others)


def _without_area(kind: str, corners: int) -> str:
    """The kind of a contour that has no area, for a person."""
    if corners < 2:
        return "contour(s) without corners" if corners == 0 else "point(s)"
    if corners == 2 or kind.startswith("OPEN"):
        return "open contour(s)" if corners > 2 else "contour(s) of two corners"
    return "point(s)" if kind == "POINT" else "contour(s) of an unknown kind"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))


def _area_mm2(contour: Points) -> float:
    """Area within a planar polygon in space."""
    return float(np.linalg.norm(np.cross(contour, np.roll(contour, -1, axis=0)).sum(axis=0))) / 2


def _points(contour: Dataset) -> Points:
    """Corners of a contour, `(N, 3)`, parsed from the file's own text: pydicom makes an object of every number."""
    raw = contour.get_item("ContourData") if "ContourData" in contour else None
    value = getattr(raw, "value", None)
    if isinstance(value, bytes) and value.strip(b" \0"):
        values = np.array(value.decode("ascii").strip(" \0").split("\\"), dtype=np.float64)
    else:
        values = np.array(numbers(contour, "ContourData"), dtype=np.float64)
    if len(values) % 3 or not (np.abs(values) < _FARTHEST_MM).all():
        raise ScanError("contours must have three finite coordinates per corner, got others", remedy="export it again")
    return values.reshape(-1, 3)


def _slice_axis(contours: list[Points], number: int) -> int:
    """The grid's axis along which every contour is flat; the slice axis is tried first."""
    for axis in (2, 1, 0):
        if all(np.ptp(contour[:, axis]) <= 2 * _FLAT for contour in contours):
            return axis
    raise GeometryError(
        f"contours must lie in slices of the image, got some of structure {number} that cross them",
        remedy="export it as a DICOM SEG",
    )


def _by_plane(contours: list[Points], axis: int) -> dict[float, list[Points]]:
    """Contours of one plane together, by its place along the axis in voxels."""
    planes: dict[float, list[Points]] = {}
    place = -np.inf
    for contour in sorted(contours, key=lambda one: float(one[:, axis].mean())):
        own = float(contour[:, axis].mean())
        if own - place > _FLAT:
            place = own
            planes[place] = []
        planes[place].append(np.delete(contour, axis, axis=1))
    return planes


def _draw(planes: dict[float, list[Points]], mask: Mask, axis: int, tolerance: float, *, is_xor: bool) -> Counter[str]:
    """Fill each slice from the plane nearest to it, and count what could not be drawn as it stands."""
    counts: Counter[str] = Counter()
    slices = np.moveaxis(mask, axis, 0)
    nearest: dict[int, float] = {}
    for place in sorted(planes):
        k = int(np.floor(place + _HALF_WAY))
        if not 0 <= k < slices.shape[0]:
            counts["contour plane(s) lie outside the image"] += 1
        elif k in nearest:
            counts["contour plane(s) lie between slices that have nearer ones and were left out"] += 1
            nearest[k] = min(nearest[k], place, key=lambda one: abs(one - k))
        else:
            nearest[k] = place
    for k, place in nearest.items():
        if abs(place - k) > max(tolerance, _FLAT):
            counts["contour plane(s) lie between slices and were drawn on the nearest"] += 1
        area = area_of(planes[place], (slices.shape[1], slices.shape[2]), is_xor=is_xor)
        slices[k] = area.mask
        counts["contour(s) cross another one of the structure and were joined with it"] += area.crossing
        counts["contour(s) are copies of others and were drawn once"] += area.copies
        counts["contour(s) hold no pixel centre"] += area.empty
        counts["contour(s) lie outside the image"] += area.outside
        counts["contour(s) lie partly outside the image"] += area.cut
    return counts


def _gaps(mask: Mask, axis: int) -> int:
    """Number of empty slices between the first and the last filled one."""
    filled = np.flatnonzero(mask.any(axis=tuple(n for n in range(3) if n != axis)))
    return int(filled[-1] - filled[0] + 1 - len(filled)) if len(filled) else 0
