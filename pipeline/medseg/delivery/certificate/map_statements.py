"""What a delivered map of probabilities is: the very bytes that the prediction wrote, on the grid of the scan."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medseg.delivery.certificate.contents import Expected, Number
from medseg.geometry import Geometry
from medseg.scans.statements import Key, Statements

_SAME_MM = 1e-2


def expected_map(source: Path, scan: Geometry, *, is_picture: bool) -> Expected:
    """What the map must be.

    Args:
        source: The map that the prediction wrote.
        scan: Grid of the scan.
        is_picture: Whether the scan is a picture, whose maps have no place in the patient.
    """
    said: dict[Key, str | Number] = {("map", "SHA-256"): _digest(source)}
    if not is_picture:
        said |= {("map", what): Number(value, _SAME_MM) for what, value in _corners(scan)}
    return said


def read_map(path: Path, *, is_picture: bool) -> Statements:
    """Read the checksum, and the grid as SimpleITK gives it by the header.

    Args:
        path: File of the map.
        is_picture: Whether it is a picture, which has no place in the patient.

    Raises:
        OSError: If the file cannot be read.
        ScanError: If it is damaged.
    """
    said: dict[Key, str | float] = {("map", "SHA-256"): _digest(path)}
    if is_picture:
        return Statements(library="hashlib", values=said)
    import SimpleITK as sitk

    from medseg.scans.itk import read_itk_grid

    geometry, _ = read_itk_grid(path, case_id="probability map")
    said |= {("map", what): value for what, value in _corners(geometry)}
    return Statements(library=f"SimpleITK {sitk.Version.VersionString()}", values=said)


def _corners(grid: Geometry) -> Iterator[tuple[str, float]]:
    """Places of the first voxel, and of the last one along each axis."""
    ends = np.vstack([np.zeros(3), np.diag(np.array(grid.shape) - 1.0)])
    for name, place in zip(("first", "last_i", "last_j", "last_k"), grid.world_mm(ends), strict=True):
        for axis, value in zip("ras", place.tolist(), strict=True):
            yield f"{name}_{axis}_mm", value


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
