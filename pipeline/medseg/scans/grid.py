"""The grid of a file from its header, without reading the voxels."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.scans.itk import ITK_SUFFIXES, read_itk_grid
from medseg.scans.nifti import NIFTI_SUFFIXES, read_nifti_grid
from medseg.scans.picture import is_picture_file, read_picture_size


class FileGrid(NamedTuple):
    """Grid and channels that a header describes.

    Attributes:
        geometry: The voxel grid.
        channels: Values per voxel.
        is_picture: Whether it is a picture without a place in the patient.
    """

    geometry: Geometry
    channels: int
    is_picture: bool


def read_grid(path: Path, *, case_id: str) -> FileGrid:
    """Read the header of a scan, label or picture file.

    Raises:
        ScanError: If the file cannot be read.
        GeometryError: If the grid is not a straight voxel grid.
    """
    name = path.name.lower()
    if name.endswith(NIFTI_SUFFIXES):
        return FileGrid(*read_nifti_grid(path, case_id=case_id), is_picture=False)
    if name.endswith(ITK_SUFFIXES):
        return FileGrid(*read_itk_grid(path, case_id=case_id), is_picture=False)
    if is_picture_file(path):
        width, height, channels = read_picture_size(path, case_id=case_id)
        return FileGrid(Geometry((width, height, 1), np.eye(4)), channels, is_picture=True)
    raise ScanError("file must be a scan, label or picture, got another ending", remedy="convert it", case_id=case_id)
