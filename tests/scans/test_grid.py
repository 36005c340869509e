"""The grid of a file by its header alone: the same that reading the voxels gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.scans import read_grid, read_scan, write_scan
from PIL import Image

from tests.grids import OBLIQUE


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ"])
def test_grid_of_a_nifti_is_that_of_its_voxels(tmp_path: Path, name: str, channels: int) -> None:
    write_scan(np.zeros((channels, *OBLIQUE.shape), np.float32), OBLIQUE, tmp_path / name.lower())
    (tmp_path / name.lower()).rename(tmp_path / name)
    found = read_grid(tmp_path / name, case_id="c")
    assert found.geometry.distance_mm(read_scan(tmp_path / name, case_id="c").geometry) == 0
    assert (found.channels, found.is_picture) == (channels, False)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 3), ("LA", 1), ("P", 3), ("I;16", 1)])
def test_grid_of_a_picture_is_that_of_its_pixels(tmp_path: Path, mode: str, channels: int) -> None:
    Image.new(mode, (7, 5)).save(tmp_path / "a.png")
    found = read_grid(tmp_path / "a.png", case_id="c")
    scan = read_scan(tmp_path / "a.png", case_id="c")
    assert found.geometry.distance_mm(scan.geometry) == 0
    assert found.geometry.shape == (7, 5, 1)
    assert (found.channels, found.is_picture) == (scan.array.shape[0], True)
    assert found.channels == channels


@pytest.mark.parametrize("orientation", [3, 6])
def test_grid_of_a_picture_that_lies_on_its_side_is_that_of_the_upright_one(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (7, 5)).save(tmp_path / "a.jpg", exif=exif)
    shape = read_grid(tmp_path / "a.jpg", case_id="c").geometry.shape
    assert shape == ((5, 7, 1) if orientation == 6 else (7, 5, 1))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.png", "a.jpg"])
def test_damaged_file_is_refused_with_its_case(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing of the kind" * 30)
    with pytest.raises(ScanError, match=f"case c: file {name} must be a whole"):
        read_grid(tmp_path / name, case_id="c")


def test_other_ending_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    with pytest.raises(ScanError, match="case c: file must be a scan, label or picture, got another ending"):
        read_grid(tmp_path / "a.txt", case_id="c")
