"""Enhanced multi-frame images: each frame by its own place, macros of its own or shared."""

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

from tests.dicom_files import assert_same_voxels, found_in, read_folder, write_enhanced
from tests.grid_strategies import grids
from tests.grids import OBLIQUE

MACROS = ("PixelMeasures", "PlaneOrientation", "PixelValueTransformation")
ARRAY = np.random.default_rng(5).integers(-1000, 3000, OBLIQUE.shape).astype(np.int16)


@settings(max_examples=30, deadline=None)
@given(geometry=grids(min_size=3), seed=st.integers(0, 2**32 - 1), shared=st.sets(st.sampled_from(MACROS)))
def test_any_grid_comes_back_from_shuffled_frames(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry, seed: int, shared: set[str]
) -> None:
    folder = tmp_path_factory.mktemp("enhanced")
    rng = np.random.default_rng(seed)
    array = rng.integers(-2000, 2000, geometry.shape).astype(np.int16)
    rescale = (int(rng.integers(1, 8)) / 4, int(rng.integers(-8, 8)) / 2)
    order = rng.permutation(geometry.shape[2])
    dataset = write_enhanced(
        array, geometry, folder / "one", order=order, shared=sorted(shared), slopes=[rescale] * geometry.shape[2]
    )
    assert ("SharedFunctionalGroupsSequence" in dataset) == bool(shared)
    assert_same_voxels(read_folder(folder), array * rescale[0] + rescale[1], geometry)


def test_slopes_of_each_frame_are_applied_to_it(tmp_path: Path) -> None:
    slopes = [(0.5, 1), (2, -3), (1, 0), (4, 0.25), (0.25, 8)]
    write_enhanced(ARRAY, OBLIQUE, tmp_path / "one", order=[2, 4, 0, 1, 3], slopes=slopes)
    expected = ARRAY * np.array([a for a, _ in slopes]) + np.array([b for _, b in slopes])
    assert_same_voxels(read_folder(tmp_path), expected, OBLIQUE)


def test_macro_of_a_frame_stands_above_the_shared_one(tmp_path: Path) -> None:
    dataset = write_enhanced(ARRAY, OBLIQUE, tmp_path / "one", shared=MACROS, slopes=[(2, 0)] * 5)
    group = dataset.PerFrameFunctionalGroupsSequence[0]
    group.PixelValueTransformationSequence = [type(group)()]
    group.PixelValueTransformationSequence[0].RescaleSlope = 3
    group.PixelValueTransformationSequence[0].RescaleIntercept = 5
    dataset.save_as(tmp_path / "one")
    expected = 2 * ARRAY.astype(np.int32)
    expected[:, :, 0] = 3 * ARRAY[:, :, 0].astype(np.int32) + 5
    assert_same_voxels(read_folder(tmp_path), expected, OBLIQUE)


def test_time_points_of_one_file_are_volumes_of_their_own(tmp_path: Path) -> None:
    times = np.stack([ARRAY, ARRAY[::-1], ARRAY + 7])
    order = np.random.default_rng(1).permutation(15)
    write_enhanced(times, OBLIQUE, tmp_path / "one", order=order)
    found = found_in(tmp_path)
    assert [one.told_apart_by for one in found] == [("temporal_position",)] * 3
    assert [one.part for one in found] == [0, 1, 2]
    for one, array in zip(found, times, strict=True):
        assert_same_voxels(read_series(one), array, OBLIQUE)


def test_dimension_index_tells_volumes_apart_where_nothing_else_does(tmp_path: Path) -> None:
    times = np.stack([ARRAY, ARRAY + 7])
    dataset = write_enhanced(times, OBLIQUE, tmp_path / "one")
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.FrameContentSequence[0].TemporalPositionIndex
    dataset.save_as(tmp_path / "one")
    found = found_in(tmp_path)
    assert [one.told_apart_by for one in found] == [("gradient",)] * 2
    for one, array in zip(found, times, strict=True):
        assert_same_voxels(read_series(one), array, OBLIQUE)


def test_files_of_one_series_are_time_points(tmp_path: Path) -> None:
    write_enhanced(ARRAY, OBLIQUE, tmp_path / "a", SOPInstanceUID="1.2.3.1")
    write_enhanced(ARRAY + 7, OBLIQUE, tmp_path / "b", SOPInstanceUID="1.2.3.2")
    found = found_in(tmp_path)
    assert [one.told_apart_by for one in found] == [("file",)] * 2
    assert_same_voxels(read_series(found[1]), ARRAY + 7, OBLIQUE)


def test_volume_that_is_divided_among_files_is_put_together(tmp_path: Path) -> None:
    """As of a concatenation (PS3.3 C.7.6.16.2.2.4)."""
    lower = Geometry((7, 9, 2), OBLIQUE.affine)
    upper_affine = OBLIQUE.affine.copy()
    upper_affine[:3, 3] += 2 * OBLIQUE.affine[:3, 2]
    upper = Geometry((7, 9, 3), upper_affine)
    write_enhanced(ARRAY[:, :, :2], lower, tmp_path / "a", SOPInstanceUID="1.2.3.1")
    write_enhanced(ARRAY[:, :, 2:], upper, tmp_path / "b", SOPInstanceUID="1.2.3.2")
    assert_same_voxels(read_folder(tmp_path), ARRAY, OBLIQUE)


def test_missing_frame_is_found(tmp_path: Path) -> None:
    geometry = Geometry((7, 9, 6), OBLIQUE.affine)
    array = np.zeros(geometry.shape, np.int16)
    write_enhanced(array, geometry, tmp_path / "one", order=[0, 1, 2, 4, 5])
    with pytest.raises(ScanError, match=r"every 3 mm, got 1 missing in 1 gap"):
        read_folder(tmp_path)


def test_frames_of_two_pixel_spacings_are_not_one_volume(tmp_path: Path) -> None:
    dataset = write_enhanced(ARRAY, OBLIQUE, tmp_path / "one", shared=())
    for group in dataset.PerFrameFunctionalGroupsSequence[3:]:
        group.PixelMeasuresSequence[0].PixelSpacing = [2, 2]
    dataset.save_as(tmp_path / "one")
    found = found_in(tmp_path)
    assert sorted(len(one.frames) for one in found) == [2, 3]


def test_frames_without_groups_for_each_are_refused(tmp_path: Path) -> None:
    dataset = write_enhanced(ARRAY, OBLIQUE, tmp_path / "one")
    del dataset.PerFrameFunctionalGroupsSequence[2]
    dataset.save_as(tmp_path / "one")
    with pytest.raises(ScanError, match="frames must each have functional groups, got 4 for 5"):
        read_instance(tmp_path / "one")


def test_loop_without_places_is_no_volume(tmp_path: Path) -> None:
    dataset = write_enhanced(ARRAY, OBLIQUE, tmp_path / "one")
    del dataset.PerFrameFunctionalGroupsSequence
    dataset.save_as(tmp_path / "one")
    with pytest.raises(ScanError, match="every slice must give its position and orientation, got none in 5 of 5"):
        read_folder(tmp_path)


@pytest.mark.parametrize("count", [0, -4])
def test_senseless_number_of_frames_is_refused(tmp_path: Path, count: int) -> None:
    dataset = write_enhanced(ARRAY, OBLIQUE, tmp_path / "one")
    dataset.NumberOfFrames = count
    dataset.save_as(tmp_path / "one")
    with pytest.raises(ScanError, match=f"number of frames must be 1 to 1000000, got {count}"):
        read_instance(tmp_path / "one")


def test_file_that_ends_early_is_refused(tmp_path: Path) -> None:
    write_enhanced(ARRAY, OBLIQUE, tmp_path / "one")
    content = (tmp_path / "one").read_bytes()
    (tmp_path / "one").write_bytes(content[:-100])
    with pytest.raises(ScanError, match="pixel data must hold 315 values, got 530 bytes"):
        read_folder(tmp_path)


def test_every_tag_that_is_read_is_one_that_the_header_keeps(tmp_path: Path) -> None:
    """Values by `dcmread` of the whole file equal those of the intake's short header."""
    write_enhanced(ARRAY, OBLIQUE, tmp_path / "one", Manufacturer="Maker", ManufacturerModelName="M1")
    whole = dcmread(tmp_path / "one")
    instance = read_instance(tmp_path / "one")
    assert instance is not None
    assert instance.sop_uid == whole.SOPInstanceUID
    assert instance.series_uid == whole.SeriesInstanceUID
    assert instance.scanner == "Maker M1"
    assert len(instance.frames) == whole.NumberOfFrames
