"""A found series as a `Scan`: decoded, rescaled slice by slice, on a straight grid."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.records import Array, Scan
from medseg.scans.dicom.frame import Frame
from medseg.scans.dicom.pixels import StoredPixels, read_pixels
from medseg.scans.dicom.repair import REPAIRS, straighten
from medseg.scans.dicom.series import FoundSeries
from medseg.scans.dicom.series_origin import series_origin

_INTEGERS = (np.int16, np.uint16, np.int32)


class SeriesScan(NamedTuple):
    """A series in memory.

    Attributes:
        scan: Volume in int16 where whole numbers fit, else uint16, int32 or float32.
        sha256: SHA-256 over the sorted SHA-256 of the files, as lines of hexadecimal digits.
        notes: Clauses about its repair.
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
    volume, bits, sums = _read_frames(found.frames)
    digest = hashlib.sha256("".join(f"{line}\n" for line in sorted(sums)).encode()).hexdigest()
    if found.planes is None:
        picture, notes = _picture(found, volume, bits)
        return SeriesScan(picture, digest, notes)
    if found.problems:
        straight = straighten(volume, found.planes)
        return SeriesScan(Scan(straight.array, straight.geometry, series_origin(found)), digest, straight.notes)
    return SeriesScan(Scan(volume, found.planes.geometry(), series_origin(found)), digest, ())


def _read_frames(frames: Sequence[Frame]) -> tuple[Array, int, list[str]]:
    """Rescaled values as `(C, I, J, K)`, the bits stored, and the checksum of each file."""
    canvas = _Canvas(len(frames))
    sums = []
    place = bits = 0
    for path, members in groupby(frames, key=lambda frame: frame.path):
        stored = read_pixels(path)
        sums.append(stored.sha256)
        bits = stored.bits
        for frame in members:
            canvas.put(place, _rescaled(_tile(stored, frame), frame))
            place += 1
    return canvas.volume(), bits, list(dict.fromkeys(sums))


def _tile(stored: StoredPixels, frame: Frame) -> Array:
    """The pixels of one plane, shape `(rows, columns, samples)`."""
    picture = stored.frames[0 if frame.tiles_per_side > 1 else frame.index]
    row, column = divmod(frame.index if frame.tiles_per_side > 1 else 0, frame.tiles_per_side)
    top, left = row * frame.rows, column * frame.columns
    plane: Array = picture[top : top + frame.rows, left : left + frame.columns]
    if plane.shape[:2] != (frame.rows, frame.columns):
        raise ScanError(
            f"a slice must have {frame.rows} by {frame.columns} pixels, got {plane.shape[:2]}", remedy="export it again"
        )
    return plane


def _rescaled(plane: Array, frame: Frame) -> Array:
    """Stored values times slope plus intercept: whole numbers stay whole."""
    slope, intercept = frame.slope, frame.intercept
    if plane.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        if slope == 1 and intercept == 0:
            return plane
        return plane.astype(np.int64 if plane.dtype.itemsize > 2 else np.int32) * int(slope) + int(intercept)
    # NIfTI headers hold slopes as float32: rounded alike, a file with the slope in its header has the same voxels.
    slope, intercept = float(np.float32(slope)), float(np.float32(intercept))
    return (plane.astype(np.float64) * slope + intercept).astype(np.float32)


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
    raise ScanError(f"voxels must fit 32 bits, got {low} to {high}", remedy="export it again")


def _picture(found: FoundSeries, volume: Array, bits: int) -> tuple[Scan, tuple[str, ...]]:
    """A radiograph or photograph: i along a row, j along a column; it has no place in the patient."""
    frame = found.frames[0]
    notes = () if frame.spacing_mm else ("the pixel spacing is not given: a pixel counts as 1 mm",)
    rows_mm, columns_mm = frame.spacing_mm or (1.0, 1.0)
    if found.first.photometric == "MONOCHROME1":
        is_signed = found.first.pixel_format[2] == 1
        ends = -1 if is_signed else (1 << bits) - 1  # the least and the greatest value that the bits hold, added
        volume = _turned_round(volume, ends * frame.slope + 2 * frame.intercept)
    geometry = Geometry.flat(frame.columns, frame.rows, spacing_mm=(columns_mm, rows_mm))
    return Scan(volume, geometry, series_origin(found)), notes


def _turned_round(volume: Array, ends: float) -> Array:
    """Greys turned round, from low values as bright ones (PS3.3 C.7.6.3.1.2) to high ones."""
    if volume.dtype.kind == "f":
        return (ends - volume.astype(np.float64)).astype(np.float32)
    turned = int(ends) - volume.astype(np.int64)
    return turned.astype(_smallest_type(int(turned.min()), int(turned.max())))
