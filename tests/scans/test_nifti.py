"""Rule 1: a mask is written on the grid of its source, and both nibabel and SimpleITK agree on where it lies."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.records import Scan
from medseg.scans import read_label, read_scan, write_mask, write_scan

from tests.grid_strategies import grids
from tests.grids import OBLIQUE, grid

CODES = [(0, 0), (1, 0), (0, 1), (0, 2), (2, 0), (1, 1), (1, 2), (4, 2), (3, 3), (5, 4)]


def write_source(
    path: Path,
    *,
    geometry: Geometry = OBLIQUE,
    qform: int = 1,
    sform: int = 1,
    shape: tuple[int, ...] | None = None,
    kind: Any = nibabel.Nifti1Image,
    units: tuple[str, str | None] = ("mm", "sec"),
) -> Path:
    """A source image whose header also holds what could name a patient."""
    shape = shape or geometry.shape
    voxels = np.random.default_rng(0).integers(-1000, 2000, shape).astype(np.int16)
    image = kind(voxels, geometry.affine)
    image.set_qform(geometry.affine, code=qform)
    image.set_sform(geometry.affine if sform else None, code=sform)
    image.header.set_xyzt_units(*units)
    image.header["descrip"] = b"JANE DOE 1950"
    image.header["aux_file"] = b"doe.txt"
    image.header["intent_name"] = b"JANE"
    image.header["cal_max"], image.header["cal_min"] = 900, -900
    if "db_name" in image.header:
        image.header["db_name"], image.header["data_type"] = b"JANE DOE", b"DOE"
    image.header.set_slope_inter(2.5, -7.0)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"JANE DOE, ward 7"))
    image.to_filename(path)
    return path


def labels_for(shape: tuple[int, ...]) -> np.ndarray:
    """Two blocks without symmetry, so that a flip or a swapped axis moves their centroids."""
    mask = np.zeros(shape, np.uint8)
    mask[: shape[0] // 2, : shape[1] // 3 + 1, : max(1, shape[2] // 2)] = 1
    mask[shape[0] // 2 :, shape[1] // 2 :, shape[2] // 2 :] = 2
    return mask


def header_bytes(path: Path) -> bytes:
    raw = path.read_bytes()
    return gzip.decompress(raw) if path.name.endswith(".gz") else raw


def nibabel_centroid_ras(path: Path, value: int) -> np.ndarray:
    image = nibabel.load(path)
    voxels = np.argwhere(np.asanyarray(image.dataobj) == value)
    voxels = np.pad(voxels, ((0, 0), (0, 3 - voxels.shape[1])))
    return nibabel.affines.apply_affine(image.affine, voxels.mean(axis=0))


def itk_centroid_lps(path: Path, value: int) -> np.ndarray:
    filter_ = SimpleITK.LabelShapeStatisticsImageFilter()
    filter_.Execute(SimpleITK.ReadImage(str(path)))
    return np.array(filter_.GetCentroid(value))


def itk_affine(path: Path) -> np.ndarray:
    """Voxel indices to LPS millimetres, as SimpleITK sees them."""
    image = SimpleITK.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return affine


def itk_grid(path: Path) -> np.ndarray:
    """Origin, direction and spacing as SimpleITK sees them, of the first volume."""
    image = SimpleITK.ReadImage(str(path))
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    return np.concatenate([image.GetSize(), image.GetOrigin(), image.GetDirection(), image.GetSpacing()])


def write_mask_for(source: Path) -> tuple[np.ndarray, Path]:
    scan = read_scan(source, case_id="c")
    mask = labels_for(scan.geometry.shape)
    return mask, write_mask(mask, scan, source.parent / "masks", case_id="c")


@pytest.mark.parametrize(("qform", "sform"), CODES)
def test_mask_keeps_qform_and_sform_codes_affine_and_units(tmp_path: Path, qform: int, sform: int) -> None:
    source = write_source(tmp_path / "a.nii.gz", qform=qform, sform=sform)
    _, path = write_mask_for(source)
    image, mask = nibabel.load(source), nibabel.load(path)
    assert (int(mask.header["qform_code"]), int(mask.header["sform_code"])) == (qform, sform)
    np.testing.assert_array_equal(mask.affine, image.affine)
    assert mask.header.get_xyzt_units() == image.header.get_xyzt_units() == ("mm", "sec")
    for field in ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "pixdim"):
        np.testing.assert_array_equal(mask.header[field], image.header[field], err_msg=field)
    for field in ("srow_x", "srow_y", "srow_z"):
        np.testing.assert_array_equal(mask.header[field], image.header[field], err_msg=field)


@pytest.mark.parametrize(("qform", "sform"), CODES)
def test_mask_lies_on_the_source_for_simpleitk_too(tmp_path: Path, qform: int, sform: int) -> None:
    source = write_source(tmp_path / "a.nii.gz", qform=qform, sform=sform)
    mask, path = write_mask_for(source)
    np.testing.assert_array_equal(itk_grid(path), itk_grid(source))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).T, mask)
    np.testing.assert_array_equal(np.asanyarray(nibabel.load(path).dataobj), mask)


@pytest.mark.parametrize(("qform", "sform"), [codes for codes in CODES if codes != (0, 0)])
def test_label_centroids_agree_between_nibabel_and_simpleitk(tmp_path: Path, qform: int, sform: int) -> None:
    _, path = write_mask_for(write_source(tmp_path / "a.nii.gz", qform=qform, sform=sform))
    for value in (1, 2):
        ras = nibabel_centroid_ras(path, value)
        np.testing.assert_allclose(itk_centroid_lps(path, value), ras * (-1, -1, 1), atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(geometry=grids(min_size=3))
def test_label_centroids_are_where_the_geometry_says_on_any_grid(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry
) -> None:
    source = write_source(tmp_path_factory.mktemp("any") / "a.nii", geometry=geometry)
    mask, path = write_mask_for(source)
    for value in (1, 2):
        expected = geometry.world_mm(np.argwhere(mask == value).astype(float)).mean(axis=0)
        np.testing.assert_allclose(nibabel_centroid_ras(path, value), expected, atol=1e-2)
        np.testing.assert_allclose(itk_centroid_lps(path, value), expected * (-1, -1, 1), atol=1e-2)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.nii", nibabel.Nifti1Image),
        ("a.nii.gz", nibabel.Nifti1Image),
        ("a.nii", nibabel.Nifti2Image),
        ("a.nii.gz", nibabel.Nifti2Image),
        ("a.img", nibabel.Nifti1Pair),
        ("a.hdr", nibabel.Nifti1Pair),
    ],
)
def test_mask_of_every_kind_of_nifti_keeps_its_grid(tmp_path: Path, name: str, kind: Any) -> None:
    source = write_source(tmp_path / name, kind=kind, qform=2, sform=4)
    mask, path = write_mask_for(source)
    written = nibabel.load(path)
    assert (int(written.header["qform_code"]), int(written.header["sform_code"])) == (2, 4)
    np.testing.assert_allclose(written.affine, nibabel.load(source).affine, rtol=1e-6)  # NIfTI-2 holds doubles
    np.testing.assert_array_equal(np.asanyarray(written.dataobj), mask)
    if kind is nibabel.Nifti2Image:  # ITK 5.4 has no reader for it, so the mask is NIfTI-1
        ras_to_lps = np.diag([-1, -1, 1, 1])
        np.testing.assert_allclose(itk_affine(path), ras_to_lps @ nibabel.load(source).affine, atol=1e-4)
    else:
        np.testing.assert_array_equal(itk_grid(path), itk_grid(source))


def test_mask_of_a_big_endian_source_keeps_its_grid(tmp_path: Path) -> None:
    write_source(tmp_path / "little.nii", qform=1, sform=2)
    little = nibabel.load(tmp_path / "little.nii")
    header = little.header.as_byteswapped(">")
    nibabel.Nifti1Image(np.asanyarray(little.dataobj), little.affine, header).to_filename(tmp_path / "a.nii")
    assert header_bytes(tmp_path / "a.nii")[:4] == struct.pack(">i", 348)
    mask, path = write_mask_for(tmp_path / "a.nii")
    assert nibabel.load(path).get_data_dtype().newbyteorder("=") == np.uint8
    np.testing.assert_array_equal(itk_grid(path), itk_grid(tmp_path / "a.nii"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).T, mask)


@pytest.mark.parametrize(("qform", "sform"), [(0, 0), (1, 0), (1, 1)])
def test_mask_of_a_flat_source_is_flat(tmp_path: Path, qform: int, sform: int) -> None:
    flat = grid((7, 9, 1), spacing_mm=(0.5, 0.7, 1.0), origin_mm=(-3, 8, 2))
    source = write_source(tmp_path / "a.nii.gz", geometry=flat, shape=(7, 9), qform=qform, sform=sform)
    mask, path = write_mask_for(source)
    image, written = nibabel.load(source), nibabel.load(path)
    assert written.shape == image.shape == (7, 9)
    assert (int(written.header["qform_code"]), int(written.header["sform_code"])) == (qform, sform)
    np.testing.assert_array_equal(written.affine, image.affine)
    np.testing.assert_array_equal(np.asanyarray(written.dataobj), mask[:, :, 0])
    np.testing.assert_array_equal(itk_grid(path), itk_grid(source))


@pytest.mark.parametrize(("qform", "sform"), [(0, 0), (0, 2), (1, 1)])
def test_mask_of_a_source_with_channels_has_three_axes(tmp_path: Path, qform: int, sform: int) -> None:
    source = write_source(tmp_path / "a.nii.gz", shape=(*OBLIQUE.shape, 2), qform=qform, sform=sform)
    mask, path = write_mask_for(source)
    written = nibabel.load(path)
    assert written.shape == OBLIQUE.shape
    np.testing.assert_array_equal(written.affine, nibabel.load(source).affine)
    np.testing.assert_array_equal(np.asanyarray(written.dataobj), mask)
    np.testing.assert_array_equal(itk_grid(path), itk_grid(source))


def test_mask_of_a_source_with_vectors_has_three_axes(tmp_path: Path) -> None:
    source = write_source(tmp_path / "a.nii.gz", shape=(*OBLIQUE.shape, 1, 3))
    scan = read_scan(source, case_id="c")
    assert scan.array.shape == (3, *OBLIQUE.shape)
    mask, path = write_mask_for(source)
    np.testing.assert_array_equal(np.asanyarray(nibabel.load(path).dataobj), mask)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image, nibabel.Nifti1Pair])
def test_mask_is_unsigned_with_slope_one_on_disk(tmp_path: Path, kind: Any) -> None:
    name = "a.img" if kind is nibabel.Nifti1Pair else "a.nii.gz"
    _, path = write_mask_for(write_source(tmp_path / name, kind=kind))
    raw = header_bytes(path)
    is_nifti1 = struct.unpack_from("<i", raw, 0) == (348,)
    datatype, bitpix = struct.unpack_from("<hh", raw, 70 if is_nifti1 else 12)
    assert (datatype, bitpix) == (2, 8)  # NIFTI_TYPE_UINT8
    assert struct.unpack_from("<ff" if is_nifti1 else "<dd", raw, 112 if is_nifti1 else 176) == (1, 0)  # slope, inter
    assert struct.unpack_from("<ff" if is_nifti1 else "<dd", raw, 124 if is_nifti1 else 192) == (0, 0)  # cal_max, min
    intent = struct.unpack_from("<h", raw, 68) if is_nifti1 else struct.unpack_from("<i", raw, 504)
    assert intent == (1002,)  # NIFTI_INTENT_LABEL


def test_mask_with_values_above_255_has_sixteen_bits(tmp_path: Path) -> None:
    scan = read_scan(write_source(tmp_path / "a.nii"), case_id="c")
    mask = labels_for(scan.geometry.shape).astype(np.int64) * 300
    path = write_mask(mask, scan, tmp_path / "masks", case_id="c")
    assert nibabel.load(path).get_data_dtype() == np.uint16
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).T, mask)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_mask_carries_no_free_text_of_the_source(tmp_path: Path, kind: Any) -> None:
    source = write_source(tmp_path / "a.nii.gz", kind=kind)
    assert b"JANE" in header_bytes(source)
    _, path = write_mask_for(source)
    raw = header_bytes(path)
    assert b"JANE" not in raw
    assert b"doe" not in raw.lower()
    assert len(nibabel.load(path).header.extensions) == 0


def test_image_is_read_with_slope_and_intercept(tmp_path: Path) -> None:
    source = write_source(tmp_path / "a.nii.gz")
    stored = np.asarray(nibabel.load(source).dataobj.get_unscaled())
    slope, inter = struct.unpack_from("<ff", header_bytes(source), 112)
    assert (slope, inter) == (2.5, -7.0)
    scan = read_scan(source, case_id="c")
    assert scan.array.dtype == np.float32
    np.testing.assert_allclose(scan.array[0], stored * 2.5 - 7.0, rtol=1e-6)


def test_label_is_read_with_slope_and_intercept(tmp_path: Path) -> None:
    mask = labels_for(OBLIQUE.shape)
    image = nibabel.Nifti1Image(mask.astype(np.int16), OBLIQUE.affine)
    image.header.set_slope_inter(1, 0)
    image.to_filename(tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<ff", raw, 112, 2.0, 3.0)
    (tmp_path / "a.nii").write_bytes(raw)
    assert float(nibabel.load(tmp_path / "a.nii").get_fdata().max()) == 7.0  # as other programs show it
    label, geometry = read_label(tmp_path / "a.nii", case_id="c")
    np.testing.assert_array_equal(label, mask * 2 + 3)
    assert label.dtype == np.uint8
    assert geometry.is_close(OBLIQUE)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint16, np.int64, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_labels(tmp_path: Path, dtype: type) -> None:
    mask = labels_for(OBLIQUE.shape)
    nibabel.Nifti1Image(mask.astype(dtype), OBLIQUE.affine, dtype=dtype).to_filename(tmp_path / "a.nii.gz")
    label, _ = read_label(tmp_path / "a.nii.gz", case_id="c")
    np.testing.assert_array_equal(label, mask)
    assert label.dtype == np.uint8


def test_label_of_one_channel_in_a_fourth_axis_is_accepted(tmp_path: Path) -> None:
    mask = labels_for(OBLIQUE.shape)
    nibabel.Nifti1Image(mask[..., None], OBLIQUE.affine).to_filename(tmp_path / "a.nii.gz")
    label, _ = read_label(tmp_path / "a.nii.gz", case_id="c")
    np.testing.assert_array_equal(label, mask)


@pytest.mark.parametrize("channels", [1, 3])
def test_written_scan_comes_back_from_all_three_readers(tmp_path: Path, channels: int) -> None:
    array = np.random.default_rng(1).normal(size=(channels, *OBLIQUE.shape)).astype(np.float32)
    write_scan(array, OBLIQUE, tmp_path / "a.nii.gz")
    scan = read_scan(tmp_path / "a.nii.gz", case_id="c")
    np.testing.assert_array_equal(scan.array, array)
    assert scan.geometry.is_close(OBLIQUE, tolerance_mm=1e-4)
    itk = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "a.nii.gz")))  # (C), K, J, I
    np.testing.assert_array_equal(itk.reshape(channels, *OBLIQUE.shape[::-1]).transpose(0, 3, 2, 1), array)
    header = nibabel.load(tmp_path / "a.nii.gz").header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)
    assert header.get_xyzt_units()[0] == "mm"


def test_geometry_of_a_scan_is_that_of_simpleitk_in_ras(tmp_path: Path) -> None:
    source = write_source(tmp_path / "a.nii.gz")
    image = SimpleITK.ReadImage(str(source))
    to_lps = read_scan(source, case_id="c").geometry.to_lps()
    for voxel in [(0, 0, 0), (6, 8, 4), (3, 0, 2)]:
        np.testing.assert_allclose(to_lps @ (*voxel, 1), (*image.TransformIndexToPhysicalPoint(voxel), 1), atol=1e-4)


def test_channels_in_files_and_in_a_fourth_axis_are_the_same(tmp_path: Path) -> None:
    array = np.random.default_rng(1).normal(size=(2, *OBLIQUE.shape)).astype(np.float32)
    write_scan(array, OBLIQUE, tmp_path / "both.nii.gz")
    for index in range(2):
        write_scan(array[index : index + 1], OBLIQUE, tmp_path / f"{index}.nii.gz")
    together = read_scan(tmp_path / "both.nii.gz", case_id="c")
    apart = read_scan([tmp_path / "0.nii.gz", tmp_path / "1.nii.gz"], case_id="c")
    np.testing.assert_array_equal(together.array, apart.array)


def test_mask_of_a_scan_without_header_has_scanner_coordinates(tmp_path: Path) -> None:
    mask = labels_for(OBLIQUE.shape)
    scan = Scan(np.zeros((1, *OBLIQUE.shape), np.float32), OBLIQUE)
    path = write_mask(mask, scan, tmp_path, case_id="c")
    written = nibabel.load(path)
    assert path.name == "c.nii.gz"
    assert (int(written.header["qform_code"]), int(written.header["sform_code"])) == (1, 1)
    label, geometry = read_label(path, case_id="c")
    np.testing.assert_array_equal(label, mask)
    assert geometry.is_close(OBLIQUE, tolerance_mm=1e-4)
    np.testing.assert_allclose(itk_centroid_lps(path, 2), nibabel_centroid_ras(path, 2) * (-1, -1, 1), atol=1e-3)


def test_mask_of_another_shape_is_not_written(tmp_path: Path) -> None:
    scan = Scan(np.zeros((1, *OBLIQUE.shape), np.float32), OBLIQUE)
    with pytest.raises(DeliveryError, match=r"case c: mask must have the scan's shape"):
        write_mask(np.zeros((2, 2, 2), np.uint8), scan, tmp_path, case_id="c")
    assert list(tmp_path.iterdir()) == []


def test_forms_that_disagree_are_told_with_the_distance(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = nibabel.Nifti1Image(np.zeros(OBLIQUE.shape, np.int16), OBLIQUE.affine)
    moved = OBLIQUE.affine.copy()
    moved[:3, 3] += (3, 0, 4)
    image.set_sform(OBLIQUE.affine, code=1)
    image.set_qform(moved, code=1)
    image.to_filename(tmp_path / "a.nii")
    scan = read_scan(tmp_path / "a.nii", case_id="c7")
    assert scan.geometry.is_close(OBLIQUE, tolerance_mm=1e-4)
    assert "case c7: sform and qform of a.nii disagree by up to 5 mm; the sform is used" in caplog.text
    path = write_mask(labels_for(OBLIQUE.shape), scan, tmp_path / "masks", case_id="c")
    written = nibabel.load(path)
    np.testing.assert_allclose(written.get_qform(), moved, atol=1e-4)
    np.testing.assert_allclose(written.get_sform(), OBLIQUE.affine, atol=1e-4)


def test_form_code_that_does_not_exist_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_source(tmp_path / "a.nii", qform=1, sform=1)
    content = bytearray(path.read_bytes())
    content[254:256] = (-767).to_bytes(2, "little", signed=True)
    path.write_bytes(content)
    read_scan([path], case_id="c7")
    assert "case c7: sform_code of a.nii must be 0 to 5, got -767" in caplog.text


def test_forms_that_agree_are_not_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_scan(write_source(tmp_path / "a.nii"), case_id="c")
    assert caplog.text == ""


@settings(max_examples=15, deadline=None)
@given(values=st.sets(st.integers(0, 65535), min_size=1, max_size=6))
def test_any_label_values_come_back(tmp_path_factory: pytest.TempPathFactory, values: set[int]) -> None:
    mask = np.random.default_rng(0).choice(sorted(values), size=OBLIQUE.shape)
    scan = Scan(np.zeros((1, *OBLIQUE.shape), np.float32), OBLIQUE)
    label, _ = read_label(write_mask(mask, scan, tmp_path_factory.mktemp("m"), case_id="c"), case_id="c")
    np.testing.assert_array_equal(label, mask)


@pytest.mark.parametrize("value", [-1, 65536])
def test_mask_value_that_no_file_holds_is_refused(tmp_path: Path, value: int) -> None:
    scan = Scan(np.zeros((1, 2, 2, 2), np.float32), Geometry((2, 2, 2), np.eye(4)))
    with pytest.raises(DeliveryError, match="mask values must be 0 to 65535"):
        write_mask(np.full((2, 2, 2), value), scan, tmp_path, case_id="c")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("unit", "millimetres"), [("meter", 1000.0), ("mm", 1.0), ("micron", 0.001), ("unknown", 1.0)])
def test_header_in_metres_or_microns_is_read_in_millimetres(tmp_path: Path, unit: str, millimetres: float) -> None:
    image = nibabel.Nifti1Image(np.ones((4, 5, 6), np.uint8), np.diag([2.0, 3.0, 4.0, 1.0]))
    image.header.set_xyzt_units(unit)
    image.to_filename(tmp_path / "a.nii")
    scan = read_scan(tmp_path / "a.nii", case_id="c")
    np.testing.assert_allclose(scan.geometry.spacing_mm, np.array([2.0, 3.0, 4.0]) * millimetres)
    path = write_mask(np.ones((4, 5, 6), np.uint8), scan, tmp_path, case_id="m")
    np.testing.assert_array_equal(nibabel.load(path).affine, image.affine)
    assert nibabel.load(path).header.get_xyzt_units()[0] == unit
    assert read_label(path, case_id="c")[1].is_close(scan.geometry)
