"""A found series as a `Scan`: decoded, rescaled slice by slice, on a straight grid."""

from __future__ import annotations

import hashlib
from itertools import groupby
from typing import NamedTuple

import numpy as np

from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.records import Array, Scan
from medseg.scans.dicom.modality_lut import ModalityLut
from medseg.scans.dicom.pixels import are_raised, bits_below, read_pixels
from medseg.scans.dicom.plane_values import plane_values
from medseg.scans.dicom.repair import REPAIRS, straighten
from medseg.scans.dicom.series import FoundSeries
from medseg.scans.dicom.series_origin import series_origin

_INTEGERS = (np.int16, np.uint16, np.int32)


class SeriesScan(NamedTuple):
    """A series in memory.

    Attributes:
        scan: Volume in int16 where whole numbers fit, else uint16, int32 or float32.
        sha256: SHA-256 over the sorted SHA-256 of the files, as lines of hexadecimal digits.
        notes: Clauses about its coding and its repair.
    """

    scan: Scan
    sha256: str
    notes: tuple[str, ...]


def read_series(found: FoundSeries, *, repair: frozenset[str] = frozenset()) -> SeriesScan:
    """Read a volume or a picture.

    Args:
        found: Series without problems, or only with those that `repair` names.
        repair: `tilt` shifts the slices of a tilted gantry onto a straight grid, `gaps` interpolates missing and
            unevenly spaced slices.

    Returns:
        `array` of shape `(C, I, J, K)`: i along a row, j along a column, k along the slice normal.

    Raises:
        ScanError: If the series has a problem that `repair` does not name, or a file is damaged.
    """
    for problem in found.problems:
        if REPAIRS.get(problem.kind) not in repair:
            raise ScanError(problem.message, remedy=problem.remedy)
    volume, coding, sums = _read_frames(found)
    digest = hashlib.sha256("".join(f"{line}\n" for line in sorted(sums)).encode()).hexdigest()
    if found.planes is None:
        picture, notes = _picture(found, volume, coding)
        return SeriesScan(picture, digest, (*coding.notes, *notes))
    if found.problems:
        straight = straighten(volume, found.planes)
        scan = Scan(straight.array, straight.geometry, series_origin(found))
        return SeriesScan(scan, digest, (*coding.notes, *straight.notes))
    return SeriesScan(Scan(volume, found.planes.geometry(), series_origin(found)), digest, coding.notes)


class _Coding(NamedTuple):
    """How the last file of a series codes its values, and notes on all of them."""

    bits: int
    lut: ModalityLut | None
    notes: tuple[str, ...]


def _read_frames(found: FoundSeries) -> tuple[Array, _Coding, list[str]]:
    """Meaningful values as `(C, I, J, K)`, how they were coded, and the checksum of each file."""
    canvas = _Canvas(len(found.frames))
    raised = {one.path for one in found.instances if bits_below(one.pixel_format[1], one.high_bit)}
    raised = raised if raised and are_raised(sorted(raised)) else set()
    sums = []
    notes: dict[str, None] = {}
    place = 0
    coding = _Coding(0, None, ())
    for path, members in groupby(found.frames, key=lambda frame: frame.path):
        stored = read_pixels(path, is_raised=path in raised)
        sums.append(stored.sha256)
        notes |= dict.fromkeys(stored.notes)
        coding = _Coding(stored.bits, stored.lut, tuple(notes))
        for frame in members:
            canvas.put(place, plane_values(stored, frame))
            place += 1
    return canvas.volume(), coding, list(dict.fromkeys(sums))


class _Canvas:
    """A volume that is filled slice by slice, in the smallest type that holds its values so far."""

    def __init__(self, slices: int) -> None:
        self._slices = slices
        self._array: Array = np.empty((0, 0, 0, 0), np.int16)
        self._low = self._high = 0
        self._is_float = False

    def put(self, place: int, plane: Array) -> None:
        """Put in a slice of shape `(rows, columns, samples)`."""
        wanted = self._type_with(plane)
        if self._array.size == 0:
            rows, columns, samples = plane.shape
            self._array = np.empty((samples, self._slices, rows, columns), wanted)
        elif wanted != self._array.dtype:
            self._array = self._array.astype(wanted)
        self._array[:, place] = np.moveaxis(plane, -1, 0)

    def volume(self) -> Array:
        """All slices, `(C, I, J, K)`."""
        return self._array.transpose(0, 3, 2, 1)

    def _type_with(self, plane: Array) -> np.dtype[np.generic]:
        self._is_float = self._is_float or plane.dtype.kind == "f"
        if self._is_float:
            return np.dtype(np.float32)
        self._low, self._high = min(self._low, int(plane.min())), max(self._high, int(plane.max()))
        return _smallest_type(self._low, self._high)


def _smallest_type(low: int, high: int) -> np.dtype[np.generic]:
    """The smallest integer type that holds a range."""
    for kind in _INTEGERS:
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return np.dtype(kind)
    raise ScanError(f"voxels must fit 32 bits, got {low} to {high}", remedy="export it with 16 bits per voxel")


def _picture(found: FoundSeries, volume: Array, coding: _Coding) -> tuple[Scan, tuple[str, ...]]:
    """A radiograph or photograph: i along a row, j along a column; it has no place in the patient."""
    frame = found.frames[0]
    notes = () if frame.spacing_mm else ("the pixel spacing is not given: a pixel counts as 1 mm",)
    rows_mm, columns_mm = frame.spacing_mm or (1.0, 1.0)
    if found.first.photometric == "MONOCHROME1":
        volume = _turned_round(volume, _ends(found, coding))
    geometry = Geometry.flat(frame.columns, frame.rows, spacing_mm=(columns_mm, rows_mm))
    return Scan(volume, geometry, series_origin(found)), notes


def _ends(found: FoundSeries, coding: _Coding) -> float:
    """The least and the greatest value that the bits of a picture can mean, added."""
    if coding.lut is not None:
        return float((1 << coding.lut.bits) - 1)
    frame, is_signed = found.frames[0], found.first.pixel_format[2] == 1
    stored = -1 if is_signed else (1 << coding.bits) - 1
    return stored * frame.slope + 2 * frame.intercept


def _turned_round(volume: Array, ends: float) -> Array:
    """Greys turned round, from low values as bright ones (PS3.3 C.7.6.3.1.2) to high ones."""
    if volume.dtype.kind == "f":
        return (ends - volume.astype(np.float64)).astype(np.float32)
    turned = int(ends) - volume.astype(np.int64)
    return turned.astype(_smallest_type(int(turned.min()), int(turned.max())))
