"""The grid of an RT Dose: its planes by their offsets, in either form of the standard and in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.scans.dicom.elements import number, numbers

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SAME_MM = 0.01  # of a place that is written twice
_UNEVEN = 0.01  # of the distance between planes: the rounding of their decimals
_AXIAL = 1e-4  # of the cosines of axial planes
_EXPORT_AGAIN = "export it again from the planning system"
Vector = npt.NDArray[np.float64]


class DoseGrid(NamedTuple):
    """Grid of a dose.

    Attributes:
        geometry: Grid with planes in the order of their places along the normal.
        order: Stored number of each plane, by its place along k.
        notes: Clauses about what the file leaves open.
    """

    geometry: Geometry
    order: npt.NDArray[np.intp]
    notes: tuple[str, ...]


def dose_grid(header: Dataset) -> DoseGrid:
    """The grid of the planes of an RT Dose.

    Raises:
        ScanError: If its place, orientation, spacing or offsets are missing or contradict each other, or if its planes
            are not evenly spaced.
        GeometryError: If its axes are not perpendicular.

    Source: PS3.3 C.7.6.2 for the first plane, C.8.8.3.2 for the offsets of the others.
    """
    position, orientation = numbers(header, "ImagePositionPatient"), numbers(header, "ImageOrientationPatient")
    spacing = numbers(header, "PixelSpacing")
    if len(position) != 3 or len(orientation) != 6 or len(spacing) != 2 or min(spacing) <= 0:
        raise ScanError(
            "a dose must give its position, orientation and pixel spacing, got some missing", remedy=_EXPORT_AGAIN
        )
    row, column = _unit(orientation[:3]), _unit(orientation[3:])
    normal = np.cross(row, column)
    frames = int(number(header, "NumberOfFrames", 1))
    offsets = _offsets(numbers(header, "GridFrameOffsetVector"), frames, position, orientation, normal)
    order = np.argsort(offsets, kind="stable")
    step, notes = _step(offsets[order], header)
    geometry = Geometry.from_lps_axes(
        (int(number(header, "Columns", 0)), int(number(header, "Rows", 0)), frames),
        origin_mm=np.array(position) + offsets[order[0]] * normal,
        steps_mm=(row * spacing[1], column * spacing[0], normal * step),
    )
    return DoseGrid(geometry, order, notes)


def _unit(cosines: tuple[float, ...]) -> Vector:
    direction = np.array(cosines)
    length = float(np.linalg.norm(direction))
    if not abs(length - 1) < 1e-3:
        raise ScanError("directions of a dose must have length 1, got others", remedy=_EXPORT_AGAIN)
    return np.asarray(direction / length)


def _offsets(
    given: tuple[float, ...],
    frames: int,
    position: tuple[float, ...],
    orientation: tuple[float, ...],
    normal: Vector,
) -> Vector:
    """Millimetres of each plane from the first position along the normal, in stored order.

    Offsets that begin with 0 are these millimetres; others are z coordinates, which axial planes alone may give.
    """
    if not given and frames == 1:
        return np.zeros(1)
    if len(given) != frames:
        raise ScanError(
            f"a dose must give an offset for each of its {frames} planes, got {len(given)}", remedy=_EXPORT_AGAIN
        )
    if given[0] == 0:
        return np.array(given)
    flat = np.abs(np.array(orientation))
    is_axial = bool(np.abs(flat - [1, 0, 0, 0, 1, 0]).max() < _AXIAL)
    if not is_axial:
        fact = f"offsets of a dose's planes that are not axial must begin with 0, got {given[0]:g}"
        raise ScanError(fact, remedy=_EXPORT_AGAIN)
    if abs(given[0] - position[2]) <= _SAME_MM:
        return np.asarray((np.array(given) - given[0]) * np.sign(normal[2]))
    raise ScanError(
        f"offsets of a dose's planes must begin with 0 or with the position of axial planes, {position[2]:g} mm, got "
        f"{given[0]:g}",
        remedy=_EXPORT_AGAIN,
    )


def _step(places: Vector, header: Dataset) -> tuple[float, tuple[str, ...]]:
    """Distance between neighbouring planes, and what of it is a guess."""
    if len(places) == 1:
        thickness = number(header, "SliceThickness", 0.0)
        if thickness > 0:
            return thickness, ()
        return 1.0, ("the only plane of the dose gives no thickness: it counts as 1 mm thick",)
    steps = np.diff(places)
    mean = float(steps.mean())
    if steps.min() <= 0:
        raise ScanError("planes of a dose must lie at different places, got two at one", remedy=_EXPORT_AGAIN)
    if np.abs(steps - mean).max() > max(_UNEVEN * mean, _SAME_MM):
        raise ScanError(
            f"planes of a dose must be evenly spaced, got {steps.min():g} to {steps.max():g} mm",
            remedy="export it on an even grid",
        )
    return mean, ()
