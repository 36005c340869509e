"""A slice is the same slice of the patient, however the scan's array runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.geometry import Geometry
from medseg.plane import Plane
from medseg.preprocess.classification import slice_axis
from medseg.records import Array

from tests.grid_strategies import grids
from tests.grids import ALL_AXCODES, grid

WORLD: dict[Plane, int] = {"sagittal": 0, "coronal": 1, "axial": 2}
planes = st.sampled_from(list(WORLD))
EXAMPLES = settings(max_examples=60, deadline=None)


def slice_centres_mm(geometry: Geometry, axis: int) -> Array:
    """RAS+ millimetres of the middle of every slice along an axis of the array, in its order."""
    middle = (np.array(geometry.shape) - 1) / 2
    voxels = np.tile(middle, (geometry.shape[axis], 1))
    voxels[:, axis] = np.arange(geometry.shape[axis])
    return geometry.world_mm(voxels)


@EXAMPLES
@given(grids(max_tilt=0.3, min_size=2), planes)
def test_slices_follow_each_other_towards_head_front_or_right(geometry: Geometry, plane: Plane) -> None:
    found = slice_axis(geometry, plane)
    assert len(found.positions_mm) == geometry.shape[found.axis]
    assert (np.diff(found.positions_mm) > 0).all()
    centres = slice_centres_mm(geometry, found.axis)[:, WORLD[plane]]
    in_order = found.positions_mm[::-1] if found.is_flipped else found.positions_mm
    np.testing.assert_allclose(in_order, centres, atol=1e-6)


@EXAMPLES
@given(grids(max_tilt=0.3, min_size=2), planes)
def test_axis_is_the_one_that_comes_nearest_to_the_plane_s_normal(geometry: Geometry, plane: Plane) -> None:
    directions = np.abs(geometry.affine[:3, :3] / np.array(geometry.spacing_mm))
    assert slice_axis(geometry, plane).axis == directions[WORLD[plane]].argmax()


@EXAMPLES
@given(grids(min_size=2), planes)
def test_slices_of_any_oblique_grid_are_evenly_spaced_and_counted_once(geometry: Geometry, plane: Plane) -> None:
    found = slice_axis(geometry, plane)
    assert sorted(found.grid.shape) == sorted(geometry.shape)
    assert found.grid.shape[2] == geometry.shape[found.axis] == len(found.positions_mm)
    assert {slice_axis(geometry, other).axis for other in WORLD} == {0, 1, 2}
    steps = np.diff(found.positions_mm)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("axcodes", "plane", "axis", "is_flipped"),
    [
        ("RAS", "axial", 2, False),
        ("LPS", "axial", 2, False),
        ("LPI", "axial", 2, True),
        ("SAR", "axial", 0, False),
        ("IPL", "axial", 0, True),
        ("LPS", "coronal", 1, True),
        ("RAS", "coronal", 1, False),
        ("ASR", "sagittal", 2, False),
        ("ASL", "sagittal", 2, True),
    ],
)
def test_axis_and_direction_of_known_orientations(axcodes: str, plane: Plane, axis: int, is_flipped: bool) -> None:
    found = slice_axis(grid((4, 5, 6), axcodes=axcodes), plane)
    assert (found.axis, found.is_flipped) == (axis, is_flipped)


@pytest.mark.parametrize("plane", list(WORLD))
@pytest.mark.parametrize("axcodes", ALL_AXCODES[::5])
@pytest.mark.parametrize("shape", [(1, 6, 7), (6, 1, 7), (6, 7, 1)])
def test_single_slice_is_one_picture_whatever_the_plane(
    shape: tuple[int, int, int], axcodes: str, plane: Plane
) -> None:
    geometry = grid(shape, axcodes=axcodes)
    found = slice_axis(geometry, plane)
    assert found.grid.shape == (6, 7, 1)
    assert geometry.shape[found.axis] == 1
    assert len(found.positions_mm) == 1


def test_positions_are_those_of_the_middle_of_an_oblique_slice() -> None:
    """A stack tilted by 30 degrees about R: 4 mm along it are 4 cos 30° mm towards the head."""
    geometry = grid((5, 7, 3), spacing_mm=(1, 1, 4), angles=(np.pi / 6, 0, 0), axcodes="RAI")
    found = slice_axis(geometry, "axial")
    start = 3 * np.sin(np.pi / 6)
    np.testing.assert_allclose(found.positions_mm, start + 4 * np.cos(np.pi / 6) * np.arange(3))
