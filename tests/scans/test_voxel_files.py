"""The files that headers name, held to what SimpleITK and nibabel read: without any of them the scan cannot be read."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.scans import read_scan, voxel_files

VOXELS = np.arange(24, dtype=np.int16).reshape(2, 3, 4)  # (K, J, I)
METAIMAGE = "ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementSpacing = 1 1 1\nElementType = MET_SHORT\n"
NRRD = """NRRD0004
type: int16
dimension: 3
sizes: 4 3 2
space: left-posterior-superior
space directions: (1,0,0) (0,1,0) (0,0,1)
space origin: (0,0,0)
endian: little
encoding: raw
"""
WHOLE, SLICES = ("parts/all two.bin",), ("parts/s01.bin", "parts/s02.bin")
HEADERS = {
    "one.mhd": ("ElementDataFile = parts/all two.bin", WHOLE),
    "roundabout.mhd": ("ElementDataFile = parts/../parts/all two.bin", WHOLE),
    "colon.mhd": ("ElementDataFile : parts/all two.bin", WHOLE),
    "list.mhd": ("ElementDataFile = LIST\nparts/s01.bin\nparts/s02.bin", SLICES),
    "list_of_planes.mhd": ("ElementDataFile = LIST 2\nparts/s01.bin\nparts/s02.bin", SLICES),
    "windows.mhd": ("ElementDataFile = LIST\r\nparts/s01.bin\r\nparts/s02.bin\r", SLICES),
    "pattern.mhd": ("ElementDataFile = parts/s%02d.bin 1 2 1", SLICES),
    "pattern_alone.mhd": ("ElementDataFile = parts/s%02d.bin", SLICES),
    "named.mha": ("ElementDataFile = parts/all two.bin", WHOLE),
    "one.nhdr": ("data file: parts/all two.bin", WHOLE),
    "capital.nhdr": ("Data File: ./parts/all two.bin", WHOLE),
    "list.nhdr": ("data file: LIST\nparts/s01.bin\nparts/s02.bin", SLICES),
    "list_of_planes.nhdr": ("data file: LIST 2\nparts/s01.bin\nparts/s02.bin", SLICES),
    "pattern.nhdr": ("data file: parts/s%02d.bin 1 2 1", SLICES),
    "pattern_of_planes.nhdr": ("datafile: parts/s%02d.bin 1 2 1 2", SLICES),
    "named.nrrd": ("data file: parts/all two.bin", WHOLE),
}


def write_named(folder: Path, name: str) -> Path:
    """A header of the table, and the files that it names."""
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    (folder / "parts" / "all two.bin").write_bytes(VOXELS.tobytes())
    for number, plane in enumerate(VOXELS, start=1):
        (folder / "parts" / f"s{number:02d}.bin").write_bytes(plane.tobytes())
    text = (METAIMAGE if Path(name).suffix in (".mhd", ".mha") else NRRD) + HEADERS[name][0] + "\n"
    (folder / name).write_bytes(text.encode())
    return folder / name


@pytest.mark.parametrize("name", HEADERS)
def test_scan_is_read_from_the_files_that_its_header_names(name: str, tmp_path: Path) -> None:
    path = write_named(tmp_path, name)
    named = voxel_files(path)
    assert named == tuple(tmp_path / one for one in HEADERS[name][1])
    np.testing.assert_array_equal(read_scan([path], case_id="a").array[0].transpose(2, 1, 0), VOXELS)
    for one in named:
        content = one.read_bytes()
        one.unlink()
        assert voxel_files(path)[named.index(one)].resolve() == one.resolve()  # still named
        with pytest.raises(ScanError, match=rf"file {path.name} must be a whole NRRD or MetaImage file"):
            read_scan([path], case_id="a")
        one.write_bytes(content)


def test_absolute_name_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "far.bin").write_bytes(VOXELS.tobytes())
    path = tmp_path / "headers" / "a.mhd"
    path.parent.mkdir()
    path.write_text(f"{METAIMAGE}ElementDataFile = {tmp_path}/far.bin\n")
    np.testing.assert_array_equal(read_scan([path], case_id="a").array[0].transpose(2, 1, 0), VOXELS)
    assert voxel_files(path) == (tmp_path / "far.bin",)


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_scan_in_one_file_is_read_from_no_other(name: str, tmp_path: Path) -> None:
    form = METAIMAGE + "ElementDataFile = LOCAL\n" if name == "a.mha" else NRRD + "\n"
    (tmp_path / name).write_bytes(form.encode() + b"data file: other.raw\nElementDataFile = other.raw\n" * 3)
    assert voxel_files(tmp_path / name) == ()


@pytest.mark.parametrize("value", ["s%099999999d.raw 1 2 1", "s%d.raw 1 x 1", "s%d.raw 1 2 0", "s%s.raw 1 2 1"])
def test_pattern_that_makes_no_sense_is_taken_as_a_name(value: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mhd"
    path.write_text(f"{METAIMAGE}ElementDataFile = {value}\n")
    assert all(not one.is_file() for one in voxel_files(path))
    assert len(voxel_files(path)) == 1


def test_endless_pattern_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.mhd"
    path.write_text(f"{METAIMAGE}ElementDataFile = s%d.raw 1 999999999999 1\n")
    assert len(voxel_files(path)) == 2**16


@pytest.mark.parametrize("name", ["a.hdr", "a.img"])
def test_either_file_of_a_pair_leads_to_the_other(name: str, tmp_path: Path) -> None:
    nib.Nifti1Pair(VOXELS, np.eye(4)).to_filename(tmp_path / "a.img")
    (other,) = {tmp_path / "a.hdr", tmp_path / "a.img"} - {tmp_path / name}
    assert voxel_files(tmp_path / name) == (other,)


def test_damaged_header_has_the_files_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.mhd").write_bytes(b"NDims = 3\n")
    (tmp_path / "a.raw").write_bytes(b"")
    assert voxel_files(tmp_path / "a.mhd") == (tmp_path / "a.raw",)
    assert voxel_files(tmp_path / "gone.mhd") == ()
