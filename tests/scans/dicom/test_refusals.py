"""What is no straight, even volume is refused, each for its own reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.scans.dicom import SeriesRules, read_series
from medseg.scans.dicom.frame import Frame
from medseg.scans.dicom.planes import Planes, Problem, find_problems, stack_planes

from tests.dicom_files import assert_same_voxels, decimals, found_in, read_folder, write_series
from tests.grid_strategies import grids
from tests.grids import OBLIQUE, grid

LONG = grid((5, 4, 20), spacing_mm=(0.7, 0.8, 2.5), angles=(0.3, -0.2, 0.1), origin_mm=(-50, 20, 300), axcodes="LPS")


def write_at(folder: Path, geometry: Geometry, place: Callable[[int], Sequence[float]]) -> None:
    """Slices at voxel places `(i, j, k)` of a grid, which need not be whole."""
    array = np.random.default_rng(0).integers(0, 99, geometry.shape).astype(np.int16)
    for k, dataset in enumerate(write_series(array, geometry, folder)):
        dataset.ImagePositionPatient = decimals(geometry.to_lps()[:3] @ [*place(k), 1])
        dataset.save_as(folder / f"{k:05d}")


def planes_at(geometry: Geometry, places: Sequence[Sequence[float]], *, decimal_places: int = 12) -> Planes:
    """Planes at voxel places, without files."""
    affine, spacing = geometry.to_lps(), geometry.spacing_mm
    axes = (*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1]))
    frames = []
    for number, place in enumerate(places):
        x, y, z = np.round(affine[:3] @ [*place, 1], decimal_places)
        frames.append(
            Frame(Path(str(number)), 0, (x, y, z), axes, (spacing[1], spacing[0]), geometry.shape[1], geometry.shape[0])
        )
    planes = stack_planes(frames)
    assert isinstance(planes, Planes)
    return planes


def kinds(planes: Planes) -> list[str]:
    return [problem.kind for problem in find_problems(planes, min_slices=3)]


def problem_of(planes: Planes) -> Problem:
    (problem,) = find_problems(planes, min_slices=3)
    return problem


@settings(max_examples=40, deadline=None)
@given(
    geometry=grids(min_size=4),
    degrees=st.floats(0.2, 40),
    axis=st.sampled_from([0, 1]),
    sign=st.sampled_from([-1, 1]),
)
def test_any_tilt_is_found_with_its_angle(geometry: Geometry, degrees: float, axis: int, sign: int) -> None:
    step = sign * np.tan(np.radians(degrees)) * geometry.spacing_mm[2] / geometry.spacing_mm[axis]
    # 0.05 of a pixel is what rounding explains.
    assume(abs(step) * (geometry.shape[2] - 1) > 0.06)
    places = [[step * k if axis == 0 else 0, step * k if axis == 1 else 0, k] for k in range(geometry.shape[2])]
    problem = problem_of(planes_at(geometry, places))
    assert problem.kind == "tilt"
    assert f"got a gantry tilt of {degrees:.1f}°" in problem.message or abs(degrees * 10 % 1 - 0.5) < 1e-3


def test_tilt_is_refused_with_the_remedy(tmp_path: Path) -> None:
    write_at(tmp_path, LONG, lambda k: (0, k * np.tan(np.radians(14.3)) * 2.5 / 0.8, k))
    with pytest.raises(
        ScanError, match=r"got a gantry tilt of 14\.3°; ingest with the repair tilt to shift the slices"
    ):
        read_folder(tmp_path)


@pytest.mark.parametrize("degrees", [0.03, 0.0006])
def test_numeric_tilt_is_none(degrees: float) -> None:
    slope = np.tan(np.radians(degrees)) * 2.5 / 0.7
    assert kinds(planes_at(LONG, [[slope * k, 0, k] for k in range(20)])) == []


def test_grid_of_a_numeric_tilt_goes_through_the_first_and_the_last_position() -> None:
    planes = planes_at(LONG, [[1e-3 * k, -1e-3 * k, k] for k in range(20)])
    assert kinds(planes) == []
    got = planes.geometry()
    np.testing.assert_allclose(got.world_mm(np.array([[0, 0, 19.0]])), LONG.world_mm(np.array([[0.019, -0.019, 19]])))


def test_sideways_shift_of_one_slice_is_refused(tmp_path: Path) -> None:
    write_at(tmp_path, LONG, lambda k: (3 if k == 7 else 0, 0, k))
    with pytest.raises(ScanError, match=r"got sideways shifts of up to 2\.\d mm; ingest with the repair tilt"):
        read_folder(tmp_path)


@settings(max_examples=40, deadline=None)
@given(
    spacing=st.floats(0.2, 8),
    missing=st.sets(st.integers(1, 28), min_size=1, max_size=12),
    rounding=st.sampled_from([12, 2]),
    angle=st.floats(-3, 3),
)
def test_missing_slices_are_counted_wherever_they_are(
    spacing: float, missing: set[int], rounding: int, angle: float
) -> None:
    kept = [k for k in range(30) if k not in missing]
    assume(1 in np.diff(kept))  # else nothing tells the spacing
    geometry = grid((3, 3, 30), spacing_mm=(0.5, 0.5, spacing), angles=(angle, angle / 2, 0.2))
    k_axis = int(np.argmin(np.abs(np.array(geometry.spacing_mm) - spacing))) if spacing != 0.5 else 2
    order = [axis for axis in range(3) if axis != k_axis] + [k_axis]
    geometry = geometry.permuted(order)
    problem = problem_of(planes_at(geometry, [[0, 0, k] for k in kept], decimal_places=rounding))
    gaps = int((np.diff(kept) > 1).sum())
    assert problem.kind == "missing_slices"
    assert f"got {len(missing)} missing in {gaps} gap(s)" in problem.message


def test_missing_slice_is_refused_with_the_remedy(tmp_path: Path) -> None:
    write_at(tmp_path, LONG, lambda k: (0, 0, k + (k > 6) + 2 * (k > 11)))
    with pytest.raises(
        ScanError,
        match=r"every 2\.5 mm, got 3 missing in 2 gap\(s\); copy the missing files, or ingest with the repair gaps",
    ):
        read_folder(tmp_path)


@settings(max_examples=30, deadline=None)
@given(geometry=grids(min_size=5), seed=st.integers(0, 2**32 - 1))
def test_even_slices_with_rounded_positions_are_fine(geometry: Geometry, seed: int) -> None:
    """Positions to a hundredth of a millimetre, as many scanners write."""
    assume(min(geometry.spacing_mm) > 0.4)
    planes = planes_at(geometry, [[0, 0, k] for k in range(geometry.shape[2])], decimal_places=2)
    assert kinds(planes) == []


def test_long_stack_with_rounded_positions_is_fine() -> None:
    geometry = grid((3, 3, 600), spacing_mm=(0.7, 0.7, 0.625), axcodes="LPS")
    assert kinds(planes_at(geometry, [[0, 0, k] for k in range(600)], decimal_places=2)) == []


@pytest.mark.parametrize(
    "depths",
    [
        [0, 1, 2.5, 3.5, 5, 6],
        [0, 1, 2.3, 3.3, 4.3],
        [0, 2, 5, 7, 10],
        list(np.cumsum(1 + 0.01 * np.arange(30))),
        list(np.cumsum(1 + 0.1 * np.arange(10))),
        [0, 1, 2, 3, 3.3, 4.3],
    ],
)
def test_uneven_spacing_is_refused(depths: list[float]) -> None:
    problem = problem_of(planes_at(LONG, [[0, 0, depth] for depth in depths]))
    assert problem.kind == "uneven_spacing"
    steps = np.diff(depths) * 2.5
    assert f"got steps of {steps.min():.4g} to {steps.max():.4g} mm" in problem.message


def test_tilt_and_missing_slices_are_both_told(tmp_path: Path) -> None:
    write_at(tmp_path, LONG, lambda k: (0.5 * (k + (k > 9)), 0, k + (k > 9)))
    (found,) = found_in(tmp_path)
    assert [problem.kind for problem in found.problems] == ["tilt", "missing_slices"]
    with pytest.raises(ScanError, match="gantry tilt"):
        read_series(found, repair=frozenset({"gaps"}))
    with pytest.raises(ScanError, match="1 missing in 1 gap"):
        read_series(found, repair=frozenset({"tilt"}))


def test_slices_at_one_position_are_refused(tmp_path: Path) -> None:
    write_at(tmp_path, LONG, lambda k: (0, 0, 0))
    with pytest.raises(ScanError, match="slices must lie at different positions, got all 20 at one; they are repeated"):
        read_folder(tmp_path)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_slices_are_refused(tmp_path: Path, count: int) -> None:
    geometry = Geometry((3, 4, count), OBLIQUE.affine)
    write_at(tmp_path, geometry, lambda k: (0, 0, k))
    with pytest.raises(ScanError, match=f"a volume must have at least 3 slices, got {count}; copy the whole series"):
        read_folder(tmp_path)


@pytest.mark.parametrize("count", [1, 2])
def test_few_slices_are_a_volume_where_that_is_allowed(tmp_path: Path, count: int) -> None:
    geometry = Geometry((3, 4, count), OBLIQUE.affine if count == 2 else np.diag([-0.5, -0.6, 1, 1]))
    array = np.random.default_rng(0).integers(0, 99, geometry.shape).astype(np.int16)
    write_series(array, geometry, tmp_path)
    (found,) = found_in(tmp_path, SeriesRules(min_slices=1))
    assert_same_voxels(read_series(found), array, geometry)


def test_single_slice_is_as_thick_as_its_header_says(tmp_path: Path) -> None:
    geometry = Geometry((3, 4, 1), np.diag([-0.5, -0.6, 7.5, 1]))
    array = np.arange(12, dtype=np.int16).reshape(geometry.shape)
    (dataset,) = write_series(array, geometry, tmp_path)
    (found,) = found_in(tmp_path, SeriesRules(min_slices=1))
    assert found.notes == ()
    assert_same_voxels(read_series(found), array, geometry)
    del dataset.SliceThickness
    dataset.save_as(tmp_path / "00000")
    (found,) = found_in(tmp_path, SeriesRules(min_slices=1))
    assert found.notes == ("the slice thickness is not given: the only slice counts as 1 mm thick",)
    assert read_series(found).scan.geometry.spacing_mm == (0.5, 0.6, 1)


def test_order_does_not_depend_on_the_order_of_the_files() -> None:
    places = [[0, 0, k] for k in range(12)]
    shuffled = [places[k] for k in np.random.default_rng(0).permutation(12)]
    np.testing.assert_array_equal(planes_at(LONG, places).positions_mm, planes_at(LONG, shuffled).positions_mm)


def test_planes_lie_along_the_cross_product_of_rows_and_columns() -> None:
    planes = planes_at(LONG, [[0, 0, k] for k in (3, 1, 2, 0)])
    np.testing.assert_allclose(planes.normal, np.cross(planes.along, planes.down))
    np.testing.assert_allclose(planes.depths_mm, [0, 2.5, 5, 7.5])
