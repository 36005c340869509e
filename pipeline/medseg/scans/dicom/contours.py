"""RTSTRUCT: planar contours drawn as masks on an image's grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.records import Mask
from medseg.scans.dicom.elements import numbers, text
from medseg.scans.dicom.rasterise import fill_even_odd

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Points = npt.NDArray[np.float64]
_AREAS = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "")
_FLAT = 0.1  # voxels that a planar contour may leave its slice
_FARTHEST_MM = 1e6
_HALF_WAY = 0.51  # slices: planes half-way between two slices all move the same way, in spite of rounding


def roi_names(dataset: Dataset) -> tuple[str, ...]:
    """Names of the structures that have an area, in stored order."""
    return tuple(name for name, _ in _structures(dataset))


def structure_planes(dataset: Dataset) -> Points:
    """One corner of every contour, LPS+ millimetres, `(N, 3)`."""
    corners = [contour[0] for _, contours in _structures(dataset) for contour in contours]
    return np.array(corners).reshape(-1, 3)


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
    for number, (name, contours) in enumerate(_structures(dataset), start=1):
        once = {contour.tobytes(): contour for contour in contours}  # a contour drawn twice would be a hole
        voxels = [grid.voxels_of_lps(contour) for contour in once.values()]
        axis = _slice_axis(voxels, number)
        mask = np.zeros(grid.shape, bool)
        planes = _by_plane(voxels, axis)
        notes = _draw(planes, mask, axis, tolerance)
        if len(once) < len(contours):
            notes.append(f"{len(contours) - len(once)} contour(s) are copies of others and were drawn once")
        if _gaps(mask, axis):
            notes.append(f"{_gaps(mask, axis)} slice(s) between its first and last contour have none")
        yield name, mask, tuple(notes)


def _structures(dataset: Dataset) -> Iterator[tuple[str, list[Points]]]:
    """Name and closed contours `(N, 3)` of every structure that has any."""
    names = {
        text(roi, "ROINumber"): text(roi, "ROIName") or f"ROI {text(roi, 'ROINumber')}"
        for roi in dataset.get("StructureSetROISequence") or ()
    }
    for roi in dataset.get("ROIContourSequence") or ():
        contours = []
        for contour in roi.get("ContourSequence") or ():
            points = _points(contour)
            if text(contour, "ContourGeometricType").upper() in _AREAS and len(points) >= 3:
                contours.append(points)
        if contours:
            number = text(roi, "ReferencedROINumber")
            yield names.get(number, f"ROI {number}"), contours


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


def _draw(planes: dict[float, list[Points]], mask: Mask, axis: int, tolerance: float) -> list[str]:
    """Fill each slice from the plane nearest to it."""
    between = outside = moved = 0
    slices = np.moveaxis(mask, axis, 0)
    nearest: dict[int, float] = {}
    for place in sorted(planes):
        k = int(np.floor(place + _HALF_WAY))
        if not 0 <= k < slices.shape[0]:
            outside += 1
        elif k in nearest:
            between += 1
            nearest[k] = min(nearest[k], place, key=lambda one: abs(one - k))
        else:
            nearest[k] = place
    for k, place in nearest.items():
        moved += abs(place - k) > max(tolerance, _FLAT)
        slices[k] = fill_even_odd(planes[place], (slices.shape[1], slices.shape[2]))
    counts = {
        "contour plane(s) lie outside the image": outside,
        "contour plane(s) lie between slices that have nearer ones and were left out": between,
        "contour plane(s) lie between slices and were drawn on the nearest": moved,
    }
    return [f"{count} {what}" for what, count in counts.items() if count]


def _gaps(mask: Mask, axis: int) -> int:
    """Number of empty slices between the first and the last filled one."""
    filled = np.flatnonzero(mask.any(axis=tuple(n for n in range(3) if n != axis)))
    return int(filled[-1] - filled[0] + 1 - len(filled)) if len(filled) else 0
