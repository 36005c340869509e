"""Series of micrometre voxels: every rule on places holds as it does for millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.scans.dicom import FoundSeries

from tests.dicom_files import assert_same_voxels, decimals, found_in, read_folder, write_series
from tests.grids import grid

SHAPE = (5, 4, 12)
PLACES: dict[str, list[tuple[float, float, float]]] = {
    "even": [(0, 0, k) for k in range(12)],
    "missing_slices": [(0, 0, k + 2 * (k > 6)) for k in range(12)],
    "uneven_spacing": [(0, 0, k + 0.2 * (k % 3 == 1)) for k in range(12)],
    "tilt": [(0, 0.2 * k, k) for k in range(12)],
    "repeated_positions": [(0, 0, k - (k == 7)) for k in range(12)],
}


def geometry_of(scale: float) -> Geometry:
    spacing = (0.7 * scale, 0.8 * scale, 2.5 * scale)
    origin = (-50 * scale, 20 * scale, 300 * scale)
    return grid(SHAPE, spacing_mm=spacing, angles=(0.3, -0.2, 0.1), origin_mm=origin, axcodes="LPS")


def array_of(geometry: Geometry) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 99, geometry.shape).astype(np.int16)


def series_at(folder: Path, places: Sequence[Sequence[float]], *, scale: float) -> FoundSeries:
    geometry = geometry_of(scale)
    for k, dataset in enumerate(write_series(array_of(geometry), geometry, folder)):
        dataset.ImagePositionPatient = decimals(geometry.to_lps()[:3] @ [*places[k], 1])
        dataset.AcquisitionNumber, dataset.InstanceNumber = 1, 1
        dataset.save_as(folder / f"{k:05d}")
    (found,) = found_in(folder)
    return found


@pytest.mark.parametrize("kind", PLACES)
def test_problems_do_not_depend_on_the_size_of_a_voxel(tmp_path: Path, kind: str) -> None:
    large = series_at(tmp_path / "millimetres", PLACES[kind], scale=1.0)
    small = series_at(tmp_path / "micrometres", PLACES[kind], scale=1e-3)
    expected = [] if kind == "even" else [kind]
    assert [problem.kind for problem in large.problems] == expected
    assert [problem.kind for problem in small.problems] == expected


def test_series_of_micrometres_is_read_on_its_grid(tmp_path: Path) -> None:
    geometry = geometry_of(1e-3)
    write_series(array_of(geometry), geometry, tmp_path, order=np.random.default_rng(1).permutation(12).tolist())
    assert_same_voxels(read_folder(tmp_path), array_of(geometry), geometry)


def test_gap_of_micrometres_is_filled(tmp_path: Path) -> None:
    series_at(tmp_path, PLACES["missing_slices"], scale=1e-3)
    read = read_folder(tmp_path, repair=frozenset(["gaps"]))
    assert read.scan.geometry.shape == (5, 4, 14)
    np.testing.assert_allclose(read.scan.geometry.spacing_mm, geometry_of(1e-3).spacing_mm, rtol=1e-5)


def test_time_points_of_micrometres_are_told_apart(tmp_path: Path) -> None:
    geometry = geometry_of(1e-3)
    for time in range(3):
        values: dict[str, int] = {"TemporalPositionIdentifier": time + 1}
        write_series(array_of(geometry) + time, geometry, tmp_path / str(time), series_uid="1.2.3", **values)
    assert [len(found.frames) for found in found_in(tmp_path)] == [12, 12, 12]
