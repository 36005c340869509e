"""How many voxels a file promises, before memory is taken for them."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

from medseg.scans.grid import read_grid
from medseg.scans.nifti import NIFTI_SUFFIXES
from medseg.scans.nifti_header import read_header


def promised_voxels(path: Path, *, case_id: str) -> int:
    """Voxels by the header of a scan file, those of all its channels or points of time together.

    Args:
        path: File to read.
        case_id: Id of the case, for errors.

    Returns:
        0 for a NIfTI header that cannot be read, which the reader of its voxels refuses.

    Raises:
        ScanError: If another header cannot be read.
        GeometryError: If its grid is not a straight voxel grid.
    """
    if not path.name.lower().endswith(NIFTI_SUFFIXES):
        grid = read_grid(path, case_id=case_id)
        return math.prod(grid.geometry.shape) * grid.channels
    import nibabel  # noqa: F401 (whole before its parts: another thread may be importing it)
    from nibabel.wrapstruct import WrapStructError

    try:
        header, _ = read_header(path)
    except (OSError, EOFError, ValueError, zlib.error, WrapStructError):
        return 0
    axes = int(header["dim"][0])
    return math.prod(abs(int(size)) for size in header["dim"][1 : max(axes, 0) + 1])
