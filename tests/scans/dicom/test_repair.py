"""Straightened and filled volumes hold the patient's values at the patient's millimetres."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.geometry import Geometry, shear_of
from medseg.scans.dicom import SeriesScan, read_series, straight_geometry

from tests.dicom_files import decimals, found_in, write_series
from tests.grids import grid

BOTH = frozenset({"tilt", "gaps"})
TILTED = grid((16, 12, 10), spacing_mm=(0.8, 0.9, 2.5), angles=(0.2, -0.1, 0.3), origin_mm=(-30, 10, 50), axcodes="LPS")
Place = Callable[[int], tuple[float, float, float]]


def sheared_world(geometry: Geometry, place: Place) -> np.ndarray:
    """RAS+ millimetres of every voxel of a stack whose slice k lies at a voxel place, `(I, J, K, 3)`."""
    i, j, k = np.meshgrid(*(np.arange(n, dtype=float) for n in geometry.shape), indexing="ij")
    shifts = np.array([place(n) for n in range(geometry.shape[2])])[k.astype(int)]
    voxels = np.stack([i, j, np.zeros_like(k)], axis=-1) + shifts
    return geometry.world_mm(voxels.reshape(-1, 3)).reshape(*geometry.shape, 3)


def write_stack(folder: Path, geometry: Geometry, place: Place, values: np.ndarray, **more: object) -> None:
    """Slices at voxel places with values, as unsigned integers of a slope that keeps their fractions."""
    low, high = float(values.min()), float(values.max())
    slope = (high - low) / 60000 or 1.0
    stored = np.rint((values - low) / slope).astype(np.uint16)
    datasets = write_series(
        stored, geometry, folder, slopes=[(decimals([slope])[0], decimals([low])[0])] * values.shape[2], **more
    )
    for k, dataset in enumerate(datasets):
        dataset.ImagePositionPatient = decimals(geometry.to_lps()[:3] @ [*place(k), 1])
        dataset.save_as(folder / f"{k:05d}")


def inside(series: SeriesScan, geometry: Geometry, place: Place) -> np.ndarray:
    """Voxels that lie within the slices above and below them, `(I, J, K)`."""
    known = np.array([place(k) for k in range(geometry.shape[2])])
    voxels = geometry.voxels(world_of(series).reshape(-1, 3))
    above = np.searchsorted(known[:, 2], voxels[:, 2] - 1e-6).clip(0, len(known) - 1)
    is_there = np.abs(known[above, 2] - voxels[:, 2]) < 1e-6
    below = np.where(is_there, above, above - 1)
    ends = np.array(geometry.shape[:2]) - 1 - 1e-3
    in_both = [
        ((voxels[:, :2] - known[k, :2] >= 1e-3) & (voxels[:, :2] - known[k, :2] <= ends)).all(axis=1)
        for k in (above, below)
    ]
    return (in_both[0] & in_both[1]).reshape(series.scan.geometry.shape)


def ramp(points: np.ndarray) -> np.ndarray:
    return points @ np.array([3.1, -2.3, 4.7]) + 17


def world_of(series: SeriesScan) -> np.ndarray:
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in series.scan.geometry.shape), indexing="ij"), axis=-1)
    return series.scan.geometry.world_mm(indices.reshape(-1, 3).astype(float)).reshape(indices.shape)


def read_only(folder: Path, repair: frozenset[str] = BOTH) -> SeriesScan:
    (found,) = found_in(folder)
    assert found.problems
    series = read_series(found, repair=repair)
    assert found.planes is not None
    assert series.scan.geometry.distance_mm(straight_geometry(found.planes)) == 0
    return series


@settings(max_examples=25, deadline=None)
@given(
    along_i=st.floats(-2.5, 2.5),
    along_j=st.floats(-2.5, 2.5).filter(lambda shift: abs(shift) > 0.02),
    gap=st.integers(1, 9),
)
def test_ramp_of_a_tilted_stack_with_a_gap_has_its_value_at_every_voxel(
    tmp_path_factory: pytest.TempPathFactory, along_i: float, along_j: float, gap: int
) -> None:
    """Linear interpolation is exact on a ramp."""
    folder = tmp_path_factory.mktemp("stack")

    def place(k: int) -> tuple[float, float, float]:
        depth = k + 2 * (k >= gap)
        return along_i * depth, along_j * depth, depth

    values = ramp(sheared_world(TILTED, place))
    write_stack(folder, TILTED, place, values)
    series = read_only(folder)
    is_in = inside(series, TILTED, place)
    expected = ramp(world_of(series))
    assert is_in.any()
    tolerance = np.ptp(values) / 60000 + 1e-3 * 20  # rounding of the stored values; shifts below 1/1000 pixel stay
    np.testing.assert_allclose(series.scan.array[0][is_in], expected[is_in], atol=tolerance)


@pytest.mark.parametrize("degrees", [-25.0, -14.0, -0.2, 0.2, 14.0, 25.0])
@pytest.mark.parametrize("axis", [0, 1])
def test_ball_stays_where_it_is_in_the_patient(tmp_path: Path, degrees: float, axis: int) -> None:
    geometry = grid((30, 28, 24), spacing_mm=(1.0, 1.2, 1.5), angles=(0.2, -0.1, 0.3), axcodes="LPS")
    step = np.tan(np.radians(degrees)) * 1.5 / geometry.spacing_mm[axis]

    def place(k: int) -> tuple[float, float, float]:
        return (step * k, 0, k) if axis == 0 else (0, step * k, k)

    points = sheared_world(geometry, place)
    centre = points[15, 14, 12]
    ball = 1000 / (1 + np.exp((np.linalg.norm(points - centre, axis=-1) - 8) / 0.8))
    write_stack(tmp_path, geometry, place, ball)
    series = read_only(tmp_path)
    weights = series.scan.array[0].astype(float)
    found = np.average(world_of(series).reshape(-1, 3), axis=0, weights=weights.ravel())
    mass = weights.sum() / ball.sum()
    assert np.linalg.norm(found - centre) < 0.1
    assert mass == pytest.approx(1, abs=0.01)
    assert "slices were shifted in their plane" in series.notes[0]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
def test_straight_grid_is_as_much_wider_as_the_slices_are_shifted(tmp_path: Path, axis: int, sign: int) -> None:
    """0.75 pixels a slice: 6.75 pixels over ten slices."""

    def place(k: int) -> tuple[float, float, float]:
        return (0.75 * sign * k, 0, k) if axis == 0 else (0, 0.75 * sign * k, k)

    write_stack(tmp_path, TILTED, place, ramp(sheared_world(TILTED, place)))
    geometry = read_only(tmp_path).scan.geometry
    wanted = list(TILTED.shape)
    wanted[axis] += 7
    assert geometry.shape == tuple(wanted)
    assert shear_of(geometry.affine) < 1e-9
    np.testing.assert_allclose(geometry.spacing_mm, TILTED.spacing_mm)
    first = [0.0, 0.0, 0.0]
    if sign < 0:
        first[axis] = -7  # the last slice lies 6.75 pixels before the first
    np.testing.assert_allclose(geometry.world_mm(np.zeros((1, 3))), TILTED.world_mm(np.array([first])), atol=1e-6)


def test_shift_by_whole_pixels_keeps_every_value(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(100, 3000, TILTED.shape).astype(np.int16)
    for k, dataset in enumerate(write_series(array, TILTED, tmp_path)):
        dataset.ImagePositionPatient = decimals(TILTED.to_lps()[:3] @ [2 * k, -k, k, 1])
        dataset.save_as(tmp_path / f"{k:05d}")
    scan = read_only(tmp_path).scan
    assert scan.geometry.shape == (16 + 18, 12 + 9, 10)
    expected = np.full(scan.geometry.shape, array.min())
    for k in range(10):
        expected[2 * k : 2 * k + 16, 9 - k : 9 - k + 12, k] = array[:, :, k]
    np.testing.assert_array_equal(scan.array[0], expected)
    assert scan.array.dtype == np.int16


def test_what_no_slice_covers_is_the_least_value(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(-1000, 3000, TILTED.shape).astype(np.int16)
    array[3, 3, 3] = -1024
    for k, dataset in enumerate(write_series(array, TILTED, tmp_path)):
        dataset.ImagePositionPatient = decimals(TILTED.to_lps()[:3] @ [2 * k, 0, k, 1])
        dataset.save_as(tmp_path / f"{k:05d}")
    scan = read_only(tmp_path).scan
    assert (scan.array[0, 16:, :, 0] == -1024).all()
    assert (scan.array[0, :18, :, 9] == -1024).all()


@settings(max_examples=25, deadline=None)
@given(
    missing=st.sets(st.integers(1, 18), min_size=1, max_size=9),
    rounding=st.sampled_from([2, 9]),
    seed=st.integers(0, 99),
)
def test_known_slices_are_untouched_and_missing_ones_lie_between(
    tmp_path_factory: pytest.TempPathFactory, missing: set[int], rounding: int, seed: int
) -> None:
    kept = [k for k in range(20) if k not in missing]
    if 1 not in np.diff(kept):
        return
    folder = tmp_path_factory.mktemp("stack")
    geometry = grid((4, 5, 20), spacing_mm=(0.7, 0.8, 0.625), angles=(0.4, 0.2, -0.3), axcodes="LPS")
    array = np.random.default_rng(seed).integers(-1000, 1000, geometry.shape).astype(np.int16)
    for k, dataset in enumerate(write_series(array[:, :, kept], geometry, folder)):
        place = geometry.to_lps()[:3] @ [0, 0, kept[k], 1]
        dataset.ImagePositionPatient = [f"{value:.{rounding}f}" for value in place]
        dataset.save_as(folder / f"{k:05d}")
    series = read_only(folder, frozenset({"gaps"}))
    assert series.notes == (f"{len(missing)} of 20 slices were interpolated (gaps)",)
    assert series.scan.geometry.distance_mm(geometry) < 0.03
    assert series.scan.array.dtype == np.int16
    np.testing.assert_array_equal(series.scan.array[0][..., kept], array[..., kept])
    for k in missing:
        below, above = max(n for n in kept if n < k), min(n for n in kept if n > k)
        weight = (k - below) / (above - below)
        expected = array[..., below] * (1 - weight) + array[..., above] * weight
        # Half a grey value of rounding, and what a hundredth of a millimetre moves the weight by.
        np.testing.assert_allclose(series.scan.array[0][..., k], expected, atol=0.51 if rounding == 9 else 40)


def test_long_stack_with_rounded_positions_keeps_its_slices(tmp_path: Path) -> None:
    """240 slices of 0.625 mm, rounded to 0.62 and 0.63: an error of the step must not add up."""
    geometry = grid((2, 2, 240), spacing_mm=(0.7, 0.7, 0.625), axcodes="LPS")
    kept = [k for k in range(240) if k not in (100, 101, 180)]
    array = np.random.default_rng(0).integers(-1000, 1000, geometry.shape).astype(np.int16)
    for k, dataset in enumerate(write_series(array[:, :, kept], geometry, tmp_path)):
        dataset.ImagePositionPatient = [f"{value:.2f}" for value in geometry.to_lps()[:3] @ [0, 0, kept[k], 1]]
        dataset.save_as(tmp_path / f"{k:05d}")
    series = read_only(tmp_path, frozenset({"gaps"}))
    assert series.scan.geometry.shape == (2, 2, 240)
    np.testing.assert_array_equal(series.scan.array[0][..., kept], array[..., kept])


def test_gaps_of_a_scan_that_drifts_a_little_are_filled_along_the_drift(tmp_path: Path) -> None:
    """A drift of half a thousandth is no tilt; slices stay pixel by pixel where they are."""
    geometry = grid((5, 5, 12), spacing_mm=(0.5, 0.5, 3), axcodes="LPS")
    kept = [k for k in range(12) if k != 4]
    array = np.random.default_rng(0).integers(-1000, 1000, geometry.shape).astype(np.int16)
    for k, dataset in enumerate(write_series(array[:, :, kept], geometry, tmp_path)):
        drift = 0.0005 * 3 * kept[k] / 0.5
        dataset.ImagePositionPatient = decimals(geometry.to_lps()[:3] @ [drift, 0, kept[k], 1])
        dataset.save_as(tmp_path / f"{k:05d}")
    series = read_only(tmp_path)
    assert series.scan.geometry.shape == geometry.shape
    np.testing.assert_array_equal(series.scan.array[0][..., kept], array[..., kept])
    last = series.scan.geometry.world_mm(np.array([[0.0, 0, 11]]))
    np.testing.assert_allclose(last, geometry.world_mm(np.array([[0.0005 * 3 * 11 / 0.5, 0, 11]])), atol=1e-6)


@pytest.mark.parametrize("depths", [[0, 1, 2.5, 3.5, 5, 6], [0, 2, 5, 7, 10], list(np.cumsum(1 + 0.1 * np.arange(10)))])
def test_uneven_slices_are_resampled_evenly_on_a_ramp(tmp_path: Path, depths: list[float]) -> None:
    geometry = Geometry((6, 5, len(depths)), TILTED.affine)

    def place(k: int) -> tuple[float, float, float]:
        return 0, 0, depths[k]

    values = ramp(sheared_world(geometry, place))
    write_stack(tmp_path, geometry, place, values)
    series = read_only(tmp_path, frozenset({"gaps"}))
    got = series.scan.geometry
    # From the first slice to the last in even steps, near the least step of the source.
    np.testing.assert_allclose(
        got.world_mm(np.array([[0.0, 0, got.shape[2] - 1]])),
        geometry.world_mm(np.array([[0, 0, depths[-1]]])),
        atol=1e-6,
    )
    np.testing.assert_allclose(got.spacing_mm[2], np.diff(depths).min() * 2.5, rtol=0.2)
    tolerance = np.ptp(values) / 60000 + 0.05 * 2.5 * 6  # a slice within a twentieth of a step counts as there
    np.testing.assert_allclose(series.scan.array[0], ramp(world_of(series)), atol=tolerance)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_repaired_volume_keeps_its_type(tmp_path: Path, dtype: type) -> None:
    array = np.full((4, 4, 6), 40000 if dtype is np.uint16 else -7, dtype)
    geometry = grid((4, 4, 6), spacing_mm=(1, 1, 2), axcodes="LPS")
    for k, dataset in enumerate(write_series(array, geometry, tmp_path)):
        dataset.ImagePositionPatient = decimals(geometry.to_lps()[:3] @ [0.3 * k, 0, k + (k > 2), 1])
        dataset.save_as(tmp_path / f"{k:05d}")
    scan = read_only(tmp_path).scan
    assert scan.array.dtype == dtype
    assert (scan.array == array[0, 0, 0]).all()


def test_colour_volume_is_repaired_channel_by_channel(tmp_path: Path) -> None:
    """Rare, as in colour-coded maps; each channel by itself."""
    geometry = grid((4, 5, 6), spacing_mm=(1, 1, 2), axcodes="LPS")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (6, 5, 4, 3)).astype(np.uint8)
    kept = [0, 1, 2, 4, 5]
    for k, dataset in enumerate(write_series(np.zeros((4, 5, 5), np.uint16), geometry, tmp_path)):
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.PixelData = pixels[kept[k]].tobytes()
        dataset["PixelData"].VR = "OB"
        dataset.ImagePositionPatient = decimals(geometry.to_lps()[:3] @ [0, 0, kept[k], 1])
        dataset.save_as(tmp_path / f"{k:05d}")
    array = read_only(tmp_path).scan.array
    expected = pixels.transpose(3, 2, 1, 0).astype(float)
    expected[..., 3] = (expected[..., 2] + expected[..., 4]) / 2
    np.testing.assert_array_equal(array, np.rint(expected))
