"""What a NIfTI header says beside the grid that readers choose: both of its forms, their codes, and the unit."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from medseg.errors import ScanError
from medseg.geometry import Affine
from medseg.scans.nifti_header import UNIT_MM, read_header
from medseg.scans.statements import Key, Statements

_PART = 1 << 20  # bytes
_FORMS = ("sform", "qform")


def read_nifti_words(path: Path) -> Statements:
    """Read the header by nibabel, and the packed bytes to their end, whose checksum no reader of voxels looks at.

    Viewers differ in the form that they go by, so that a mask may lie where it belongs in one and elsewhere in another.

    Raises:
        ScanError: If the header is damaged.
    """
    import nibabel
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    try:
        header = read_header(path)[0]
        said = nifti_words(header) | {("file", "bytes beside header and voxels"): _surplus_bytes(path, header)}
    except (zlib.error, HeaderDataError, WrapStructError, EOFError, OSError, ValueError, KeyError) as error:
        raise ScanError(f"file {path.name} must be whole, got damage", remedy="deliver it again") from error
    return Statements(library=f"nibabel {nibabel.__version__}", values=said)


def nifti_words(header: Any) -> dict[Key, str | float]:
    """Unit, codes and places of a header.

    Args:
        header: Header as nibabel holds it.

    Returns:
        Its unit, the code of each form, and in millimetres where each form that counts puts the first voxel, and the
        last one along each axis.
    """
    try:
        unit = str(header.get_xyzt_units()[0])
    except KeyError:
        unit = "unknown"
    said: dict[Key, str | float] = {("header", "unit"): unit}
    ends = [max(int(size), 1) - 1 for size in header.get_data_shape()[:3]] + [0, 0]
    for name in _FORMS:
        code = int(header[f"{name}_code"])
        said[name, "code"] = code
        if code > 0:
            matrix = _matrix(header, name)
            said |= _broken(name) if matrix is None else dict(form_places(name, matrix, ends, UNIT_MM.get(unit, 1.0)))
    return said


def form_places(name: str, matrix: Affine, ends: list[int], unit_mm: float = 1.0) -> Iterator[tuple[Key, float]]:
    """Places of the first voxel, and of the last one along each axis.

    Args:
        name: Name of the form.
        matrix: Matrix `(4, 4)` of the form.
        ends: Index of the last voxel along each axis.
        unit_mm: Millimetres per unit of the matrix.
    """
    corners = np.vstack([np.zeros(3), np.diag(np.array(ends[:3], np.float64))])
    places = (corners @ np.asarray(matrix)[:3, :3].T + np.asarray(matrix)[:3, 3]) * unit_mm
    for corner, place in zip(("first", "last_i", "last_j", "last_k"), places.tolist(), strict=True):
        yield from (((name, f"{corner}_{axis}_mm"), value) for axis, value in zip("ras", place, strict=True))


def _surplus_bytes(path: Path, header: Any) -> int:
    """Bytes that the file has beside those that its header promises; negative if it has fewer."""
    size = 0
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        while part := stream.read(_PART):
            size += len(part)
    voxels = math.prod(int(count) for count in header.get_data_shape())
    return size - int(header["vox_offset"]) - voxels * int(header.get_data_dtype().itemsize)


def _matrix(header: Any, name: str) -> Affine | None:
    """Matrix of a form; None if it is broken."""
    import nibabel  # noqa: F401 (whole before its parts: another thread may be importing it)
    from nibabel.spatialimages import HeaderDataError

    try:
        with np.errstate(all="ignore"):
            matrix: Affine = header.get_sform() if name == "sform" else header.get_qform()
    except (HeaderDataError, ValueError):
        return None
    return matrix if np.isfinite(matrix).all() else None


def _broken(name: str) -> dict[Key, str | float]:
    return {(name, "state"): "broken"}
