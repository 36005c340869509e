"""The meaningful values of one plane, however a file codes them."""

from __future__ import annotations

import numpy as np

from medseg.errors import ScanError
from medseg.records import Array
from medseg.scans.dicom.frame import Frame
from medseg.scans.dicom.pixels import StoredPixels


def plane_values(stored: StoredPixels, frame: Frame) -> Array:
    """Stored values of a plane after the Modality LUT or slope and intercept, shape `(rows, columns, samples)`.

    Returns:
        Integers where the table or slope and intercept are whole, else float32.

    Raises:
        ScanError: If the plane has another size than its header says.

    Source: PS3.3 C.11.1; only one of table and slope may stand in a file, and the table wins where both do.
    """
    plane = _tile(stored, frame)
    if stored.lut is not None and plane.dtype.kind in "iu":
        return stored.lut.values(plane)
    return _rescaled(plane, frame)


def _tile(stored: StoredPixels, frame: Frame) -> Array:
    """Stored values of one plane."""
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
