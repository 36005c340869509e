"""A volume written as one file per slice comes back: the same voxels at the same millimetres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.geometry import Geometry

from tests.dicom_files import assert_same_voxels, found_in, read_folder, write_series
from tests.grid_strategies import grids
from tests.grids import OBLIQUE, grid

KINDS = {
    np.dtype(np.int16): (-32768, 32767),
    np.dtype(np.uint16): (0, 65535),
}


def noise(shape: tuple[int, ...], dtype: type = np.int16, seed: int = 0) -> np.ndarray:
    low, high = KINDS[np.dtype(dtype)]
    return np.random.default_rng(seed).integers(low, high, shape, endpoint=True).astype(dtype)


@settings(max_examples=40, deadline=None)
@given(geometry=grids(min_size=3), seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from([np.int16, np.uint16]))
def test_any_grid_comes_back_from_shuffled_slices(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry, seed: int, dtype: type
) -> None:
    folder = tmp_path_factory.mktemp("series")
    array = noise(geometry.shape, dtype, seed)
    order = np.random.default_rng(seed).permutation(geometry.shape[2])
    write_series(array, geometry, folder, order=order)
    assert_same_voxels(read_folder(folder), array, geometry)


@settings(max_examples=25, deadline=None)
@given(geometry=grids(min_size=3), seed=st.integers(0, 2**32 - 1))
def test_slopes_of_each_slice_are_applied_to_it(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("series")
    rng = np.random.default_rng(seed)
    array = noise(geometry.shape, np.uint16, seed)
    # Quarters and halves are exact in binary, so the expected values are too.
    slopes = [(int(a) / 4 or 1, int(b) / 2) for a, b in rng.integers(-8, 8, (geometry.shape[2], 2))]
    write_series(array, geometry, folder, order=rng.permutation(len(slopes)), slopes=slopes)
    expected = array * np.array([a for a, _ in slopes]) + np.array([b for _, b in slopes])
    assert_same_voxels(read_folder(folder), expected, geometry)


def test_instance_numbers_against_the_positions_play_no_part(tmp_path: Path) -> None:
    array = noise(OBLIQUE.shape)
    write_series(array, OBLIQUE, tmp_path, order=[3, 0, 4, 1, 2], InstanceNumber=7)
    assert_same_voxels(read_folder(tmp_path), array, OBLIQUE)


def test_slices_are_ordered_along_the_normal_of_rows_and_columns(tmp_path: Path) -> None:
    geometry = grid((4, 5, 6), spacing_mm=(1, 2, 3), origin_mm=(7, 8, 9), axcodes="LPI")
    array = noise(geometry.shape)
    write_series(array, geometry, tmp_path)
    scan = read_folder(tmp_path).scan
    assert scan.geometry.axcodes == "LPS"  # rows to the left, columns to the back: their cross product points up
    np.testing.assert_array_equal(scan.array[0], array[:, :, ::-1])


def test_reading_the_same_files_twice_gives_the_same_checksum(tmp_path: Path) -> None:
    write_series(noise(OBLIQUE.shape), OBLIQUE, tmp_path, order=[3, 0, 4, 1, 2])
    assert read_folder(tmp_path).sha256 == read_folder(tmp_path).sha256


def test_checksum_does_not_depend_on_the_names_of_the_files(tmp_path: Path) -> None:
    write_series(noise(OBLIQUE.shape), OBLIQUE, tmp_path / "a")
    first = read_folder(tmp_path).sha256
    for number, path in enumerate(sorted((tmp_path / "a").iterdir(), reverse=True)):
        path.rename(tmp_path / f"IM{number}.x")
    assert read_folder(tmp_path).sha256 == first


def test_checksum_is_that_of_the_sorted_checksums_of_the_files(tmp_path: Path) -> None:
    import hashlib

    write_series(noise(OBLIQUE.shape), OBLIQUE, tmp_path, order=[3, 0, 4, 1, 2])
    lines = sorted(hashlib.sha256(path.read_bytes()).hexdigest() + "\n" for path in tmp_path.iterdir())
    assert read_folder(tmp_path).sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_one_pixel_wide_slices_are_a_volume(tmp_path: Path) -> None:
    geometry = grid((4, 1, 1), spacing_mm=(2, 3, 4), axcodes="PSR")
    array = noise(geometry.shape)
    write_series(array, geometry, tmp_path)
    assert_same_voxels(read_folder(tmp_path), array, geometry)


@pytest.mark.parametrize(
    ("values", "slopes", "dtype"),
    [
        ([0, 32767, -32768], (1, 0), np.int16),
        ([0, 30000, 1], (1, -1024), np.int16),
        ([0, 30000, 1], (2, 0), np.uint16),
        ([0, 30000, -1], (2, 0), np.int32),
        ([0, 30000, 1], (100, -5), np.int32),
        ([0, 30000, 1], (0.5, 0), np.float32),
        ([0, 30000, 1], (1, 0.5), np.float32),
    ],
)
def test_voxels_take_the_smallest_type_that_holds_them(
    tmp_path: Path, values: list[int], slopes: tuple[float, float], dtype: type
) -> None:
    geometry = grid((1, 1, 3), spacing_mm=(1, 1, 2), axcodes="LPS")
    write_series(np.array([[values]], np.int16), geometry, tmp_path, slopes=[slopes] * 3)
    scan = read_folder(tmp_path).scan
    assert scan.array.dtype == dtype
    np.testing.assert_array_equal(scan.array[0, 0, 0], np.array(values) * slopes[0] + slopes[1])


def test_type_grows_with_the_slices_that_come(tmp_path: Path) -> None:
    geometry = grid((1, 1, 4), spacing_mm=(1, 1, 2), axcodes="LPS")
    write_series(
        np.array([[[1, 2, 3, 4]]], np.int16), geometry, tmp_path, slopes=[(1, 0), (20000, 0), (-1, 0), (0.25, 0)]
    )
    scan = read_folder(tmp_path).scan
    assert scan.array.dtype == np.float32
    np.testing.assert_array_equal(scan.array[0, 0, 0], [1, 40000, -3, 1])


def test_slope_of_zero_counts_as_one(tmp_path: Path) -> None:
    array = noise(OBLIQUE.shape)
    write_series(array, OBLIQUE, tmp_path, slopes=[(0, 0)] * 5)
    assert_same_voxels(read_folder(tmp_path), array, OBLIQUE)


def test_missing_rescale_is_none(tmp_path: Path) -> None:
    array = noise(OBLIQUE.shape)
    write_series(array, OBLIQUE, tmp_path, RescaleSlope=None, RescaleIntercept=None)
    assert_same_voxels(read_folder(tmp_path), array, OBLIQUE)


def test_changing_rescale_of_a_ct_is_told(tmp_path: Path) -> None:
    array = noise(OBLIQUE.shape)
    write_series(array, OBLIQUE, tmp_path / "ct", slopes=[(1, -1024)] * 4 + [(2, -1024)])
    write_series(array, OBLIQUE, tmp_path / "pet", slopes=[(1, -1024)] * 4 + [(2, -1024)], Modality="PT")
    assert "rescale slope or intercept differs" in found_in(tmp_path / "ct")[0].notes[0]
    assert found_in(tmp_path / "pet")[0].notes == ()


@pytest.mark.parametrize("noise_mm", [1e-3, 5e-3])
def test_noise_of_the_positions_is_no_tilt_and_no_gap(tmp_path: Path, noise_mm: float) -> None:
    geometry = grid((5, 4, 6), spacing_mm=(0.7, 0.7, 1.25), angles=(0.3, -0.2, 0.1), axcodes="LPS")
    array = noise(geometry.shape)
    rng = np.random.default_rng(3)
    for k, dataset in enumerate(write_series(array, geometry, tmp_path)):
        moved = np.array(dataset.ImagePositionPatient, float) + rng.uniform(-noise_mm, noise_mm, 3)
        dataset.ImagePositionPatient = [f"{value:.6f}" for value in moved]
        dataset.save_as(tmp_path / f"{k:05d}")
    scan = read_folder(tmp_path).scan
    np.testing.assert_array_equal(scan.array[0], array)
    assert scan.geometry.distance_mm(geometry) < 4 * noise_mm
