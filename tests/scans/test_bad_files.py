"""What a hospital's disk holds besides scans: each file is refused in words, with the case that it belongs to."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from medseg.errors import GeometryError, ScanError
from medseg.scans import read_grid, read_label, read_scan, write_scan
from PIL import Image

from tests.grids import OBLIQUE, grid

VOLUME = np.random.default_rng(0).normal(size=(1, *OBLIQUE.shape)).astype(np.float32)


def write_nifti(path: Path, voxels: np.ndarray) -> Path:
    nibabel.Nifti1Image(voxels, OBLIQUE.affine, dtype=voxels.dtype).to_filename(path)
    return path


def write_with_header(path: Path, offset: int, layout: str, *values: float) -> Path:
    """A whole NIfTI-1 file with some bytes of its header written over."""
    nibabel.Nifti1Image(np.zeros((3, 4, 5), np.int16), np.eye(4)).to_filename(path)
    raw = bytearray(path.read_bytes())
    struct.pack_into(layout, raw, offset, *values)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("read", [read_scan, read_label])
def test_missing_file_is_reported_with_the_case(tmp_path: Path, read: object) -> None:
    with pytest.raises(ScanError, match=r"case lung_014: file a\.nii must exist under the data root, found none"):
        read(tmp_path / "a.nii", case_id="lung_014")  # type: ignore[operator]


def test_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").mkdir()
    with pytest.raises(ScanError, match="must exist under the data root"):
        read_scan(tmp_path / "a.nii.gz", case_id="c")


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gz"])
def test_unknown_ending_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x", encoding="utf-8")
    with pytest.raises(ScanError, match=r"must end in one of \.nii\.gz, \.nii, \.hdr, \.img, \.nrrd"):
        read_scan(tmp_path / name, case_id="c")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.img", "a.hdr"])
@pytest.mark.parametrize("content", [b"", b"not a scan", b"\x00" * 400])
def test_file_that_is_not_nifti_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScanError, match=f"case c: file {name} must be a whole NIfTI file"):
        read_scan(tmp_path / name, case_id="c")


def test_gzip_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(b"not a scan" * 100))
    with pytest.raises(ScanError, match="must be a whole NIfTI file"):
        read_scan(tmp_path / "a.nii.gz", case_id="c")


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.99])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_truncated_file_is_refused(tmp_path: Path, name: str, keep: float) -> None:
    write_scan(VOLUME, OBLIQUE, tmp_path / name)
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw[: int(len(raw) * keep)])
    with pytest.raises(ScanError, match="copy or export it again"):
        read_scan(tmp_path / name, case_id="c")


def test_pair_without_its_voxels_is_refused(tmp_path: Path) -> None:
    nibabel.Nifti1Pair(VOLUME[0], OBLIQUE.affine).to_filename(tmp_path / "a.img")
    (tmp_path / "a.img").unlink()
    with pytest.raises(ScanError, match="must be a whole NIfTI file"):
        read_scan(tmp_path / "a.hdr", case_id="c")


def test_analyze_pair_is_refused_by_name(tmp_path: Path) -> None:
    nibabel.Spm2AnalyzeImage(VOLUME[0], np.eye(4)).to_filename(tmp_path / "a.img")
    with pytest.raises(ScanError, match="must be NIfTI, got Spm"):
        read_scan(tmp_path / "a.img", case_id="c")


def test_colour_nifti_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii", np.zeros(OBLIQUE.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    for read in (read_scan, read_label):
        with pytest.raises(ScanError, match="must hold real numbers, got voxel type"):
            read(tmp_path / "a.nii", case_id="c")


def test_complex_nifti_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii", np.zeros(OBLIQUE.shape, np.complex64))
    for read in (read_scan, read_label):
        with pytest.raises(ScanError, match="must hold real numbers, got voxel type complex64"):
            read(tmp_path / "a.nii", case_id="c")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_image_with_voxels_that_are_not_finite_is_refused_with_their_number(tmp_path: Path, value: float) -> None:
    voxels = VOLUME[0].copy()
    voxels[0, :2, 0] = value
    write_nifti(tmp_path / "a.nii.gz", voxels)
    with pytest.raises(ScanError, match=r"image a\.nii\.gz must hold finite voxels, got 2 NaN or infinite ones"):
        read_scan(tmp_path / "a.nii.gz", case_id="c")


@pytest.mark.parametrize("value", [0.5, 1.0001, np.nan, np.inf])
def test_label_with_fractions_or_nan_is_refused(tmp_path: Path, value: float) -> None:
    voxels = np.zeros(OBLIQUE.shape, np.float32)
    voxels[1, 1, 1] = value
    write_nifti(tmp_path / "a.nii.gz", voxels)
    with pytest.raises(ScanError, match=r"label a\.nii\.gz must hold whole numbers, got fractions or NaN"):
        read_label(tmp_path / "a.nii.gz", case_id="c")


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.float32])
def test_negative_label_is_refused(tmp_path: Path, dtype: type) -> None:
    voxels = np.zeros(OBLIQUE.shape, dtype)
    voxels[1, 1, 1] = -2
    write_nifti(tmp_path / "a.nii.gz", voxels)
    with pytest.raises(ScanError, match=r"label a\.nii\.gz must not be negative, got -2"):
        read_label(tmp_path / "a.nii.gz", case_id="c")


def test_label_of_several_channels_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii.gz", np.zeros((*OBLIQUE.shape, 2), np.uint8))
    with pytest.raises(ScanError, match=r"label a\.nii\.gz must have one channel, got 2; merge them"):
        read_label(tmp_path / "a.nii.gz", case_id="c")


@pytest.mark.parametrize("shape", [(6,), (3, 4, 2, 2, 2), (3, 2, 2, 1, 1, 2)])
def test_other_numbers_of_axes_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write_nifti(tmp_path / "a.nii", np.zeros(shape, np.int16))
    with pytest.raises(ScanError, match="must have 2 to 4 axes, got shape"):
        read_scan(tmp_path / "a.nii", case_id="c")


def test_unknown_voxel_type_is_refused(tmp_path: Path) -> None:
    path = write_with_header(tmp_path / "a.nii", 70, "<h", 999)
    with pytest.raises(ScanError, match="must be a whole NIfTI file"):
        read_scan(path, case_id="c")


def test_more_voxels_promised_than_there_are_is_refused(tmp_path: Path) -> None:
    path = write_with_header(tmp_path / "a.nii", 42, "<hhh", 300, 300, 30)
    with pytest.raises(ScanError, match="must be a whole NIfTI file"):
        read_scan(path, case_id="c")


def test_sheared_sform_is_refused_with_case_and_file(tmp_path: Path) -> None:
    path = write_with_header(tmp_path / "a.nii", 280, "<ffff", 1.0, 0.3, 0.0, 0.0)
    with pytest.raises(GeometryError, match=r"case c: file a\.nii: voxel axes must be perpendicular, got a shear"):
        read_scan(path, case_id="c")


def test_affine_of_nan_is_refused_with_case_and_file(tmp_path: Path) -> None:
    path = write_with_header(tmp_path / "a.nii", 280, "<f", np.nan)
    with pytest.raises(GeometryError, match=r"case c: file a\.nii: affine must be a finite 4×4 matrix"):
        read_scan(path, case_id="c")


def test_sform_of_zeros_is_refused(tmp_path: Path) -> None:
    path = write_with_header(tmp_path / "a.nii", 280, "<12f", *[0.0] * 12)
    with pytest.raises(GeometryError, match="voxel size must be positive"):
        read_scan(path, case_id="c")


def test_channels_on_different_grids_are_refused_with_the_distance(tmp_path: Path) -> None:
    write_scan(np.zeros((1, 4, 4, 4), np.float32), grid((4, 4, 4)), tmp_path / "t1.nii")
    write_scan(np.zeros((1, 4, 4, 4), np.float32), grid((4, 4, 4), origin_mm=(0, 2.5, 0)), tmp_path / "t2.nii")
    with pytest.raises(
        GeometryError, match=r"channel t2\.nii must lie on the grid of t1\.nii, got corners up to 2\.5 mm"
    ):
        read_scan([tmp_path / "t1.nii", tmp_path / "t2.nii"], case_id="c")


def test_channels_of_different_shape_are_refused(tmp_path: Path) -> None:
    write_scan(np.zeros((1, 4, 4, 4), np.float32), grid((4, 4, 4)), tmp_path / "t1.nii")
    write_scan(np.zeros((1, 4, 4, 5), np.float32), grid((4, 4, 5)), tmp_path / "t2.nii")
    with pytest.raises(GeometryError, match=r"got shape \(4, 4, 5\) against \(4, 4, 4\)"):
        read_scan([tmp_path / "t1.nii", tmp_path / "t2.nii"], case_id="c")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_file_that_is_not_a_picture_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScanError, match=f"file {name} must be a whole picture"):
        read_scan(tmp_path / name, case_id="c")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_truncated_picture_is_refused(tmp_path: Path, name: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    Image.fromarray(pixels).save(tmp_path / name)
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ScanError, match="must be a whole picture"):
        read_scan(tmp_path / name, case_id="c")


@pytest.mark.parametrize("where", [0.2, 0.5, 0.9])
def test_one_flipped_bit_of_a_compressed_file_is_noticed(tmp_path: Path, where: float) -> None:
    path = write_nifti(tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 999, (20, 20, 20)).astype(np.int16))
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 8
    path.write_bytes(content)
    with pytest.raises(ScanError, match=r"case c: file a\.nii\.gz must be a whole NIfTI file"):
        read_scan(path, case_id="c")


def test_broken_qform_beside_a_good_sform_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_nifti(tmp_path / "a.nii", np.ones((4, 5, 6), np.float32))
    path = write_with_header(tmp_path / "a.nii", 256, "<3f", 1.0, 1.0, 1.0)  # quaternion b, c, d
    content = bytearray(path.read_bytes())
    struct.pack_into("<2h", content, 252, 1, 1)  # qform_code, sform_code
    path.write_bytes(content)
    assert read_scan(path, case_id="c").array.shape[0] == 1
    assert "qform of a.nii is broken" in caplog.text


def test_picture_of_sixteen_bits_per_colour_is_refused(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(range(12)) for _ in range(2))
    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ScanError, match="must have 8 bits per colour, got 16"):
        read_scan(tmp_path / "a.png", case_id="c")


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 10, gzip.compress(b""), gzip.compress(b"\0" * 10)],
    ids=["no bytes", "zeros", "nothing packed", "zeros packed"],
)
def test_empty_compressed_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(ScanError, match=r"case c: file a\.nii\.gz must be a whole NIfTI file"):
        read_scan(tmp_path / "a.nii.gz", case_id="c")


@pytest.mark.parametrize("name", ["a.png", "a.nii", "a.nii.gz", "a.tif"])
def test_error_does_not_tell_the_folder_which_may_name_a_patient(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "Doe_John_1950"
    folder.mkdir()
    (folder / name).write_bytes(b"nothing of the kind, but long enough to be looked at" * 20)
    with pytest.raises(ScanError) as refused:
        read_scan(folder / name, case_id="c")
    assert "Doe" not in str(refused.value)


SHEARED = np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def write_sheared(path: Path) -> Path:
    """A scan on a grid whose axes are not perpendicular."""
    nibabel.Nifti1Image(np.zeros((3, 4, 5), np.int16), SHEARED).to_filename(path)
    return path


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "img", "nrrd", "mha", "png", "jpg", "txt"])
@pytest.mark.parametrize("read", [read_scan, read_label, read_grid])
def test_error_holds_case_fact_and_remedy(tmp_path: Path, ending: str, read: object) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(b"not a scan")
    with pytest.raises(ScanError) as caught:
        read(path, case_id="c")  # type: ignore[operator]
    error = caught.value
    assert (error.case_id, bool(error.remedy)) == ("c", True)
    assert error.fact.startswith("file ")
    assert str(error) == f"case c: {error.fact}; {error.remedy}"


@pytest.mark.parametrize("read", [read_scan, read_label, read_grid])
def test_error_of_a_grid_keeps_its_remedy(tmp_path: Path, read: object) -> None:
    path = write_sheared(tmp_path / "a.nii")
    with pytest.raises(GeometryError) as caught:
        read(path, case_id="c")  # type: ignore[operator]
    assert caught.value.fact == "file a.nii: voxel axes must be perpendicular, got a shear of 0.196 (cosine)"
    assert (caught.value.remedy, caught.value.case_id) == ("resample onto a straight grid", "c")
