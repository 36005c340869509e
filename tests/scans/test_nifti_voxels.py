"""Voxels that are read and written in pieces are those that nibabel and SimpleITK see, and are held once."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.records import Scan
from medseg.scans import read_label, read_scan, write_mask, write_scan
from medseg.scans.nifti import read_nifti

SHAPE = (101, 97, 131)  # more voxels than one piece, and more planes than are written at a time
TYPES = ["u1", "<i2", ">i2", ">u2", "<i4", ">f4", "<f8"]


def write_stored(path: Path, stored: np.ndarray, *, slope: float = 1.0, intercept: float = 0.0) -> Path:
    """A file with these stored values, written byte by byte."""
    header: Any = nibabel.Nifti1Header(endianness=">" if stored.dtype.byteorder == ">" else "<")
    header.set_data_shape(stored.shape)
    header.set_data_dtype(stored.dtype)
    header.set_sform(np.diag([1.0, 2.0, 3.0, 1.0]), code=1)
    header["scl_slope"], header["scl_inter"], header["vox_offset"] = slope, intercept, 352
    content = header.binaryblock + bytes(4) + stored.tobytes(order="F")
    path.write_bytes(gzip.compress(content, 1) if path.name.endswith(".gz") else content)
    return path


def drawn(shape: tuple[int, ...], *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, shape).astype(np.uint8)


@pytest.mark.parametrize("stored_type", TYPES)
@pytest.mark.parametrize(("name", "slope", "intercept"), [("a.nii.gz", 1.0, 0.0), ("a.nii", 1 / 3, -1024.0)])
def test_image_has_nibabel_s_values(
    tmp_path: Path, stored_type: str, name: str, slope: float, intercept: float
) -> None:
    path = write_stored(tmp_path / name, drawn(SHAPE).astype(stored_type), slope=slope, intercept=intercept)
    array = read_scan(path, case_id="c").array
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array[0], np.asarray(nibabel.load(path).dataobj, dtype=np.float32))


@pytest.mark.parametrize("stored_type", TYPES)
def test_label_keeps_its_stored_type_in_the_byte_order_of_the_machine(tmp_path: Path, stored_type: str) -> None:
    stored = drawn(SHAPE).astype(stored_type)
    array = read_nifti(write_stored(tmp_path / "a.nii.gz", stored), case_id="c", is_label=True).array
    assert array.dtype == stored.dtype.newbyteorder("=")
    np.testing.assert_array_equal(array[0], stored)


def test_scaled_label_has_nibabel_s_values(tmp_path: Path) -> None:
    path = write_stored(tmp_path / "a.nii.gz", drawn(SHAPE) % 3, slope=2.0, intercept=1.0)
    label, _ = read_label(path, case_id="c")
    np.testing.assert_array_equal(label, np.asarray(nibabel.load(path).dataobj))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [SHAPE, (40, 50, 64), (3, 200, 1), (33_000, 2, 2)])
def test_written_mask_has_its_voxels_for_nibabel_and_simpleitk(
    tmp_path: Path, shape: tuple[int, int, int], order: Any
) -> None:
    mask = np.array(drawn(shape), order=order)
    path = write_mask(mask, Scan(np.zeros((1, *shape), np.float32), Geometry(shape, np.eye(4))), tmp_path, case_id="m")
    np.testing.assert_array_equal(np.asarray(nibabel.load(path).dataobj), mask)
    if max(shape) < 2**15:  # ITK reads no NIfTI-2
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).T, mask)


def test_written_scan_of_several_channels_has_its_voxels(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(2, 30, 20, 70)).astype(np.float32)
    write_scan(array, Geometry((30, 20, 70), np.eye(4)), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_scan(tmp_path / "a.nii.gz", case_id="c", channels=2).array, array)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
def test_reading_holds_the_float32_voxels_and_little_else(tmp_path: Path, name: str) -> None:
    path = write_stored(tmp_path / name, np.zeros((256, 256, 256), np.int16))
    read_scan(write_stored(tmp_path / "small.nii.gz", drawn((2, 2, 2))), case_id="imports what reading needs")
    tracemalloc.start()
    try:
        array = read_scan(path, case_id="c").array
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    stored_bytes = array.nbytes // 2
    assert peak < array.nbytes + stored_bytes


@pytest.mark.parametrize(("name", "promised"), [("a.nii.gz", 3000), ("a.nii", 3000), ("a.nii.gz", 20)])
def test_more_voxels_promised_than_there_are_is_refused_with_both_numbers(
    tmp_path: Path, name: str, promised: int
) -> None:
    path = write_stored(tmp_path / name, drawn((10, 10, 10)))
    content = bytearray(gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes())
    content[42:48] = np.full(3, promised, "<i2").tobytes()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    numbers = rf"\({promised}, {promised}, {promised}\) voxels in {promised**3 + 352} bytes, got 1352"
    with pytest.raises(ScanError, match=f"must be a whole NIfTI file of {numbers}; copy or export it again"):
        read_scan(path, case_id="c")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
def test_more_bytes_than_promised_are_told_of(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    path = write_stored(tmp_path / name, drawn((10, 10, 10)))
    more = gzip.compress(bytes(7)) if name.endswith(".gz") else bytes(7)
    path.write_bytes(path.read_bytes() + more)
    np.testing.assert_array_equal(read_scan(path, case_id="c").array[0], drawn((10, 10, 10)))
    assert f"case c: file {name} is 7 bytes longer than its header promises" in caplog.text


def test_long_extensions_are_passed_over(tmp_path: Path) -> None:
    stored, length = drawn((4, 5, 6)), 20_000
    path = write_stored(tmp_path / "a.nii.gz", stored)
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[108:112] = np.float32(352 + length).tobytes()
    comment = np.array([length, 6], "<i4").tobytes() + bytes(length - 8)
    path.write_bytes(gzip.compress(bytes(content[:348]) + b"\1\0\0\0" + comment + bytes(content[352:])))
    np.testing.assert_array_equal(read_scan(path, case_id="c").array[0], stored)


def test_voxels_that_begin_beyond_the_end_of_the_file_are_refused(tmp_path: Path) -> None:
    path = write_stored(tmp_path / "a.nii.gz", drawn((4, 5, 6)))
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[108:112] = np.float32(2**31).tobytes()
    path.write_bytes(gzip.compress(content))
    with pytest.raises(ScanError, match=rf"must be a whole NIfTI file of .* in {2**31 + 120} bytes, got 472"):
        read_scan(path, case_id="c")
