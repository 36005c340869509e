"""The slices of a scan on the grid of a network."""

from __future__ import annotations

import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.inference.segmentation.head.slice_map import SliceMap, slice_positions_mm

STRAIGHT = np.diag([1.0, 1.0, 3.0, 1.0])
TURNED = np.array([[0.0, 0, -3, 30], [2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]])  # slices from the right to the left


def test_slices_of_a_turned_scan_follow_the_first_axis_backwards() -> None:
    native = Geometry((16, 14, 12), TURNED)
    along = SliceMap.of(native, native.reoriented("RAS"))
    assert (along.axis, along.slices, along.planes) == (0, 12, 12)
    assert along.slice_at(np.arange(12)).tolist() == list(range(11, -1, -1))


@pytest.mark.parametrize("affine", [STRAIGHT, TURNED])
def test_rows_of_the_scan_s_own_grid_come_back_to_their_slices(affine: np.ndarray) -> None:
    native = Geometry((16, 14, 12), affine)
    along = SliceMap.of(native, native.reoriented("RAS"))
    rows = np.arange(24.0).reshape(12, 2)
    expected = rows if along.scale > 0 else rows[::-1]
    assert np.allclose(along.on_slices(rows), expected)


def test_finer_planes_are_interpolated_and_each_lies_on_its_nearest_slice() -> None:
    native = Geometry((4, 4, 4), STRAIGHT)
    grid = native.resampled((1.0, 1.0, 1.0))
    along = SliceMap.of(native, grid)
    assert along.planes == 12
    assert along.slice_at(np.arange(12)).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    heights = grid.world_mm(np.array([(0.0, 0.0, k) for k in range(12)]))[:, 2]
    assert np.allclose(along.on_slices(heights[:, None])[:, 0], slice_positions_mm(native))


def test_slices_that_the_grid_lacks_are_unknown() -> None:
    native = Geometry((4, 4, 10), STRAIGHT)
    along = SliceMap.of(native, native.cropped(2, range(3, 7)))
    found = along.on_slices(np.ones((4, 1)))[:, 0]
    assert np.isnan(found).tolist() == [True] * 3 + [False] * 4 + [True] * 3
    assert along.slice_at(np.array([-1, 0, 3, 4])).tolist() == [-1, 3, 6, -1]


def test_positions_are_those_of_the_axis_that_slices_follow() -> None:
    assert slice_positions_mm(Geometry((16, 14, 12), TURNED)).tolist() == [30.0 - 3 * n for n in range(12)]
