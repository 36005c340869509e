"""Siemens mosaics: tiles as slices, at the places that NiBabel finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.scans.dicom import read_instance, read_series
from pydicom.filereader import dcmread

from tests.dicom_files import assert_same_voxels, csa_header, found_in, read_folder, write_mosaic
from tests.grid_strategies import grids
from tests.grids import grid

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# k along the cross product of row and column direction, as DICOM counts.
UPRIGHT = grid((8, 6, 5), spacing_mm=(2, 2.5, 4), angles=(0.2, 0.1, -0.3), origin_mm=(5, -7, 30), axcodes="LPS")
ARRAY = np.random.default_rng(2).integers(0, 4000, UPRIGHT.shape).astype(np.uint16)


def is_right_handed(geometry: Geometry) -> bool:
    return bool(np.linalg.det(geometry.to_lps()[:3, :3]) > 0)


@settings(max_examples=30, deadline=None)
@given(geometry=grids(min_size=3), seed=st.integers(0, 2**32 - 1))
def test_any_grid_comes_back_and_lies_where_nibabel_puts_it(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry, seed: int
) -> None:
    path = tmp_path_factory.mktemp("mosaic") / "one"
    array = np.random.default_rng(seed).integers(0, 4000, geometry.shape).astype(np.uint16)
    write_mosaic(array, geometry, path, is_reversed=not is_right_handed(geometry))
    series = read_folder(path.parent)
    assert_same_voxels(series, array, geometry)

    from nibabel.nicom.dicomwrappers import MosaicWrapper, wrapper_from_data

    wrapper = wrapper_from_data(dcmread(path))
    assert isinstance(wrapper, MosaicWrapper)
    rows, columns, slices = np.unravel_index(np.arange(array.size), wrapper.image_shape)
    points_lps = wrapper.affine @ [rows, columns, slices, np.ones(array.size)]
    voxels = np.rint(series.scan.geometry.voxels((LPS_FROM_RAS @ points_lps)[:3].T)).astype(int)
    np.testing.assert_array_equal(series.scan.array[0][tuple(voxels.T)], wrapper.get_data().ravel())


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_count_without_a_csa_header_is_that_of_the_private_tag(tmp_path: Path, syntax: str) -> None:
    dataset = write_mosaic(ARRAY, UPRIGHT, tmp_path / "one", csa=False)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(tmp_path / "one", enforce_file_format=True, implicit_vr=syntax == "1.2.840.10008.1.2")
    assert_same_voxels(read_folder(tmp_path), ARRAY, UPRIGHT)


def test_count_is_read_where_the_type_of_the_private_tag_was_lost(tmp_path: Path) -> None:
    dataset = write_mosaic(ARRAY, UPRIGHT, tmp_path / "one", csa=False)
    del dataset[0x0019100A], dataset[0x00190010]
    dataset.add_new(0x0019100A, "UN", (5).to_bytes(2, "little"))
    dataset.save_as(tmp_path / "one")
    assert_same_voxels(read_folder(tmp_path), ARRAY, UPRIGHT)


@pytest.mark.parametrize("creator_blocks", [1, 2])
@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("name", ["MrPhoenixProtocol", "MrProtocol"])
def test_count_and_normal_are_read_from_the_protocol_in_the_series_header(
    tmp_path: Path, name: str, is_reversed: bool, creator_blocks: int
) -> None:
    grid_of_slices = UPRIGHT
    if is_reversed:
        affine = UPRIGHT.affine.copy()
        affine[:3, 2] *= -1
        grid_of_slices = Geometry(UPRIGHT.shape, affine)
    dataset = write_mosaic(ARRAY, grid_of_slices, tmp_path / "one", csa=False)
    del dataset[0x0019100A], dataset[0x00190010]
    axes = np.cross(*np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)) * (-1 if is_reversed else 1)
    normal = zip(("dSag", "dCor", "dTra"), axes, strict=True)
    protocol = "\n".join(
        [
            "### ASCCONV BEGIN ###",
            "sSliceArray.lSize                        = 0x5",
            *(f"sSliceArray.asSlice[0].sNormal.{axis}      = {value:.12f}" for axis, value in normal),
            "### ASCCONV END ###",
        ]
    )
    if creator_blocks == 2:
        dataset.private_block(0x0029, "SOMEBODY ELSE", create=True).add_new(0x20, "OB", b"12")
    header = csa_header({"UsedPatientWeight": ("DS", ["70"]), name: ("UN", [protocol])})
    dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x20, "OB", header)
    dataset.save_as(tmp_path / "one")
    assert_same_voxels(read_folder(tmp_path), ARRAY, grid_of_slices)


def test_count_is_read_from_the_series_header_itself(tmp_path: Path) -> None:
    dataset = write_mosaic(ARRAY, UPRIGHT, tmp_path / "one", csa=False)
    del dataset[0x0019100A], dataset[0x00190010]
    header = csa_header({"UsedPatientWeight": ("DS", ["70"]), "NumberOfImagesInMosaic": ("US", ["5"])})
    dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x20, "OB", header)
    dataset.save_as(tmp_path / "one")
    assert_same_voxels(read_folder(tmp_path), ARRAY, UPRIGHT)


def test_last_tiles_of_a_square_may_be_empty(tmp_path: Path) -> None:
    """Five slices lie in a square of three by three tiles."""
    write_mosaic(ARRAY, UPRIGHT, tmp_path / "one")
    instance = read_instance(tmp_path / "one")
    assert instance is not None
    assert (instance.rows, instance.columns) == (18, 24)
    assert len(instance.frames) == 5


def test_files_are_time_points(tmp_path: Path) -> None:
    write_mosaic(ARRAY, UPRIGHT, tmp_path / "a", SOPInstanceUID="1.2.3.1")
    write_mosaic(ARRAY + 9, UPRIGHT, tmp_path / "b", SOPInstanceUID="1.2.3.2")
    found = found_in(tmp_path)
    assert [one.told_apart_by for one in found] == [("file",)] * 2
    assert_same_voxels(read_series(found[0]), ARRAY, UPRIGHT)
    assert_same_voxels(read_series(found[1]), ARRAY + 9, UPRIGHT)


def test_slope_holds_for_all_tiles(tmp_path: Path) -> None:
    write_mosaic(ARRAY, UPRIGHT, tmp_path / "one", RescaleSlope=2, RescaleIntercept=-5)
    assert_same_voxels(read_folder(tmp_path), 2 * ARRAY.astype(np.int32) - 5, UPRIGHT)


def test_mosaic_that_does_not_tell_its_slices_is_refused(tmp_path: Path) -> None:
    dataset = write_mosaic(ARRAY, UPRIGHT, tmp_path / "one", csa=False)
    del dataset[0x0019100A]
    dataset.save_as(tmp_path / "one")
    with pytest.raises(ScanError, match="a mosaic must say how many slices it holds, got 0"):
        read_instance(tmp_path / "one")


def test_mosaic_whose_sides_are_no_multiple_of_its_tiles_is_refused(tmp_path: Path) -> None:
    dataset = write_mosaic(ARRAY, UPRIGHT, tmp_path / "one", csa=False)
    dataset[0x0019100A].value = 40
    dataset.save_as(tmp_path / "one")
    with pytest.raises(ScanError, match="a mosaic must say how many slices it holds, got 40"):
        read_instance(tmp_path / "one")


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "SpacingBetweenSlices"])
def test_mosaic_without_a_place_is_refused(tmp_path: Path, keyword: str) -> None:
    dataset = write_mosaic(ARRAY, UPRIGHT, tmp_path / "one")
    delattr(dataset, keyword)
    dataset.save_as(tmp_path / "one")
    with pytest.raises(ScanError, match="a mosaic must give position, orientation and slice spacing"):
        read_instance(tmp_path / "one")


def test_damaged_csa_header_is_refused_since_slices_might_run_the_other_way(tmp_path: Path) -> None:
    dataset = write_mosaic(ARRAY, UPRIGHT, tmp_path / "one")
    dataset[0x00291010].value = b"SV10" + b"\xff" * 40
    dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", 5)
    dataset.save_as(tmp_path / "one")
    with pytest.raises(ScanError, match="DICOM header must be whole"):
        read_instance(tmp_path / "one")
