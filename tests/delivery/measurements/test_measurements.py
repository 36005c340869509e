"""Sizes, places and intensities of shapes whose answers are known."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.delivery.measurements import StructureMeasurements, diameters, measure_structures, write_measurements_csv
from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.origin import SeriesOrigin
from medseg.records import Scan
from scipy.spatial.distance import pdist

from tests.grids import grid
from tests.segments import segments

CT = SeriesOrigin(study_uid="1", series_uid="2", frame_of_reference_uid="3", modality="CT", slices=())
ANISOTROPIC = grid((20, 24, 16), spacing_mm=(0.7, 1.1, 3.0), angles=(0.3, -0.2, 0.4), origin_mm=(5, -40, 100))


def measured(labels: np.ndarray, geometry: Geometry, *names: str) -> tuple[StructureMeasurements, ...]:
    scan = Scan(np.ones((1, *geometry.shape), np.int16), geometry, CT)
    return measure_structures(labels, segments(*names), scan)


def ellipsoid(geometry: Geometry, radii_mm: tuple[float, float, float], rotation: np.ndarray) -> np.ndarray:
    """Voxels of an ellipsoid in the middle of a grid, turned in the patient."""
    centre = geometry.world_mm((np.array(geometry.shape)[np.newaxis] - 1) / 2)
    voxels = np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    points = (geometry.world_mm(voxels.astype(float)) - centre) @ rotation / radii_mm
    return ((points**2).sum(axis=1) <= 1).reshape(geometry.shape).astype(np.uint8)


def test_box_on_an_oblique_grid_has_the_volume_and_diagonals_of_its_voxel_centres() -> None:
    labels = np.zeros(ANISOTROPIC.shape, np.uint8)
    labels[3:9, 5:15, 2:6] = 1
    (row,) = measured(labels, ANISOTROPIC, "box")
    width, height, depth = 5 * 0.7, 9 * 1.1, 3 * 3.0
    diagonal = np.hypot(width, height)
    assert row.voxels == 6 * 10 * 4
    assert row.volume_ml == pytest.approx(240 * 0.7 * 1.1 * 3 / 1000)
    assert row.longest_mm == pytest.approx(np.hypot(diagonal, depth))
    assert row.in_slice_mm == pytest.approx(diagonal)
    # The chord at a right angle to the diagonal through a corner of a rectangle of w < h reaches its long side.
    assert row.perpendicular_mm == pytest.approx(width * diagonal / height)
    assert (row.first_voxel, row.last_voxel) == ((3, 5, 2), (8, 14, 5))
    centre = ANISOTROPIC.world_mm(np.array([[5.5, 9.5, 3.5]]))[0]
    np.testing.assert_allclose(row.centroid_mm or (), centre)


def test_square_has_two_equal_diagonals() -> None:
    labels = np.zeros((12, 12, 1), np.uint8)
    labels[2:9, 2:9] = 1
    (row,) = measured(labels, grid((12, 12, 1)), "square")
    assert row.in_slice_mm == pytest.approx(6 * np.sqrt(2))
    assert row.perpendicular_mm == pytest.approx(6 * np.sqrt(2))


def test_ball_has_its_diameter_in_every_direction() -> None:
    geometry = grid((60, 60, 40), spacing_mm=(1.0, 1.0, 1.5), angles=(0.2, 0.1, -0.3))
    (row,) = measured(ellipsoid(geometry, (20, 20, 20), np.eye(3)), geometry, "ball")
    assert row.volume_ml == pytest.approx(4 / 3 * np.pi * 20**3 / 1000, rel=0.01)
    assert row.longest_mm == pytest.approx(40, abs=0.75)
    assert row.in_slice_mm == pytest.approx(40, abs=0.75)
    assert row.perpendicular_mm == pytest.approx(40, abs=0.75)
    assert row.slice_index in (19, 20)
    np.testing.assert_allclose(row.centroid_mm or (), geometry.world_mm(np.array([[29.5, 29.5, 19.5]]))[0], atol=0.02)


def test_turned_ellipsoid_has_the_length_of_its_long_axis() -> None:
    geometry = grid((70, 70, 70), spacing_mm=(0.8, 0.9, 1.0))
    turn = grid((2, 2, 2), angles=(0.5, 0.4, -0.7)).affine[:3, :3]
    (row,) = measured(ellipsoid(geometry, (10, 14, 25), turn), geometry, "ellipsoid")
    assert row.longest_mm == pytest.approx(50, abs=0.9)
    assert row.volume_ml == pytest.approx(4 / 3 * np.pi * 10 * 14 * 25 / 1000, rel=0.01)


def test_flat_ellipse_has_its_two_axes() -> None:
    geometry = grid((120, 120, 1), spacing_mm=(0.5, 0.5, 2.0))
    turn = grid((2, 2, 2), angles=(0, 0, 0.6)).affine[:3, :3]
    (row,) = measured(ellipsoid(geometry, (25, 10, 9), turn), geometry, "ellipse")
    assert row.in_slice_mm == pytest.approx(50, abs=0.5)
    assert row.perpendicular_mm == pytest.approx(20, abs=0.5)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 5)),
    density=st.floats(0.05, 0.9),
    seed=st.integers(0, 9999),
)
def test_diameters_are_those_of_all_pairs_of_voxels(shape: tuple[int, int, int], density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < density
    mask.ravel()[rng.integers(mask.size)] = True
    spacing = (0.7, 1.3, 2.9)
    found = diameters(mask, spacing)
    points = np.argwhere(mask) * spacing
    flat = [np.argwhere(mask[:, :, k]) * spacing[:2] for k in range(shape[2])]
    assert found.longest_mm == pytest.approx(max(pdist(points), default=0.0))
    assert found.in_slice_mm == pytest.approx(max(max(pdist(one), default=0.0) for one in flat))
    assert found.perpendicular_mm <= found.in_slice_mm + 1e-9


def test_one_voxel_has_a_volume_and_no_extent() -> None:
    labels = np.zeros(ANISOTROPIC.shape, np.uint8)
    labels[7, 8, 9] = 1
    (row,) = measured(labels, ANISOTROPIC, "dot")
    assert (row.voxels, row.longest_mm, row.in_slice_mm, row.perpendicular_mm, row.slice_index) == (1, 0, 0, 0, 9)
    assert row.volume_ml == pytest.approx(0.7 * 1.1 * 3 / 1000)
    assert row.intensities[0] is not None
    assert row.intensities[0].sd == 0


def test_intensities_are_those_of_each_channel_inside_the_structure() -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(40, 12, (2, 20, 24, 16)).astype(np.float32)
    labels = rng.integers(0, 3, ANISOTROPIC.shape).astype(np.int16)
    array[1][labels == 2] = np.nan
    array[1, labels == 1] = np.where(rng.random((labels == 1).sum()) < 0.1, np.inf, 3)
    one, two = measure_structures(labels, segments("a", "b"), Scan(array, ANISOTROPIC, CT))
    inside = array[0][labels == 1].astype(np.float64)
    found = one.intensities[0]
    assert found is not None
    assert (found.mean, found.sd, found.median) == pytest.approx((inside.mean(), inside.std(), np.median(inside)))
    assert one.unit == "HU"
    assert one.intensities[1] is not None
    assert (one.intensities[1].mean, one.intensities[1].sd) == (3, 0)
    assert two.intensities[1] is None


def test_the_unit_is_known_for_ct_alone() -> None:
    labels = np.ones((2, 2, 2), np.uint8)
    for origin, unit in ((CT, "HU"), (replace(CT, modality="MR"), None), (None, None)):
        scan = Scan(np.ones((1, 2, 2, 2)), grid((2, 2, 2)), origin)
        assert measure_structures(labels, segments("a"), scan)[0].unit == unit


def test_segments_that_share_values_are_each_measured_whole() -> None:
    labels = np.zeros((9, 9, 9), np.int64)
    labels[2:4], labels[5:6] = -3, 100_000
    whole, core = segments("whole", "core")
    scan = Scan(np.ones((1, 9, 9, 9)), grid((9, 9, 9)), None)
    parts = [replace(whole, values=(-3, 100_000)), replace(core, values=(100_000,))]
    assert [row.voxels for row in measure_structures(labels, parts, scan)] == [3 * 81, 81]


def test_an_empty_structure_is_listed_with_zeros_and_blanks(tmp_path: Path) -> None:
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[1, 1, 1] = 2
    rows = measured(labels, grid((4, 4, 4)), "missing", 'a "quoted", name')
    write_measurements_csv(rows, tmp_path / "out" / "measurements.csv")
    with (tmp_path / "out" / "measurements.csv").open(encoding="utf-8", newline="") as stream:
        missing, present = csv.DictReader(stream)
    assert (missing["structure"], missing["voxels"], missing["volume_ml"]) == ("missing", "0", "0")
    assert {missing[name] for name in missing if name.endswith("_mm") or name.startswith("intensity_")} == {""}
    assert present["structure"] == 'a "quoted", name'
    assert (present["volume_ml"], present["first_i"], present["last_k"]) == ("0.001", "1", "1")
    assert (present["intensity_unit"], present["intensity_mean"]) == ("HU", "1")


def test_channels_have_columns_of_their_own(tmp_path: Path) -> None:
    scan = Scan(np.stack([np.full((2, 2, 2), 4.0), np.full((2, 2, 2), 5.0)]), grid((2, 2, 2)), None)
    write_measurements_csv(measure_structures(np.ones((2, 2, 2), int), segments("a"), scan), tmp_path / "m.csv")
    with (tmp_path / "m.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["intensity_mean_1"], row["intensity_mean_2"]) == ("4", "5")


def test_a_mask_on_another_grid_is_refused() -> None:
    with pytest.raises(DeliveryError, match=r"must have the shape of its scan \(9, 9, 9\), got \(8, 9, 9\)"):
        measured(np.zeros((8, 9, 9), np.uint8), grid((9, 9, 9)), "a")
