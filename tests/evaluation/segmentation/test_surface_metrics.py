"""Surface Dice and the 95th percentile of the surface distance against closed-form and published answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from medseg.errors import GeometryError
from medseg.evaluation.segmentation import hausdorff_95_mm, surface_dice
from medseg.records import Array
from scipy.ndimage import binary_erosion, distance_transform_edt

SHAPE = (24, 20, 16)
SPACING_MM = (0.8, 1.5, 4.0)


def cube(*starts: int, size: int = 6) -> Array:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(start, start + size) for start in starts)] = True
    return mask


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_shifted_cube_is_one_voxel_of_that_axis_away(axis: int) -> None:
    starts = [5, 5, 5]
    label = cube(*starts)
    starts[axis] += 1
    mask = cube(*starts)
    assert hausdorff_95_mm(label, mask, spacing_mm=SPACING_MM) == pytest.approx(SPACING_MM[axis])
    assert surface_dice(label, mask, spacing_mm=SPACING_MM, tolerance_mm=SPACING_MM[axis]) == 1.0
    assert surface_dice(label, mask, spacing_mm=SPACING_MM, tolerance_mm=0.9 * SPACING_MM[axis]) < 1.0


@pytest.mark.parametrize(("spacing_mm", "share"), [((1.0, 1.0, 1.0), 0.5), ((1.0, 1.0, 0.4), 1.0)])
def test_two_voxels_apart_along_k_share_the_surface_within_a_millimetre(
    spacing_mm: tuple[float, float, float], share: float
) -> None:
    """DeepMind's own test: of two voxels two millimetres apart, the half that faces the other lies within one."""
    label, mask = cube(8, 8, 4, size=1), cube(8, 8, 6, size=1)
    assert surface_dice(label, mask, spacing_mm=spacing_mm, tolerance_mm=1.0) == pytest.approx(share)
    assert hausdorff_95_mm(label, mask, spacing_mm=spacing_mm) == pytest.approx(2 * spacing_mm[2])


def test_hausdorff_95_is_that_of_scipys_distances() -> None:
    rng = np.random.default_rng(0)
    label, mask = cube(3, 3, 3), cube(4, 6, 2, size=8) & (rng.random(SHAPE) < 0.8)
    edges = [part & ~binary_erosion(part) for part in (label, mask)]
    away = [distance_transform_edt(~edge, sampling=SPACING_MM) for edge in edges]
    expected = max(np.percentile(away[1][edges[0]], 95), np.percentile(away[0][edges[1]], 95))
    assert hausdorff_95_mm(label, mask, spacing_mm=SPACING_MM) == pytest.approx(expected, rel=1e-5)


def test_one_stray_voxel_does_not_move_the_95th_percentile() -> None:
    label = cube(4, 4, 4, size=8)
    mask = label.copy()
    mask[23, 19, 15] = True
    assert hausdorff_95_mm(label, mask, spacing_mm=SPACING_MM) == 0.0
    assert 0.98 < surface_dice(label, mask, spacing_mm=SPACING_MM, tolerance_mm=1.0) < 1.0


def test_same_masks_agree_whole_even_at_the_rim_of_the_grid() -> None:
    full = np.ones(SHAPE, bool)
    for part in (full, cube(0, 0, 0), cube(8, 8, 8, size=1)):
        assert surface_dice(part, part, spacing_mm=SPACING_MM, tolerance_mm=0.0) == 1.0
        assert hausdorff_95_mm(part, part, spacing_mm=SPACING_MM) == 0.0


def test_both_empty_is_not_a_number_and_one_empty_is_the_worst() -> None:
    empty, full = np.zeros(SHAPE, bool), cube(2, 2, 2)
    diagonal = math.hypot(24 * 0.8, 20 * 1.5, 16 * 4.0)
    assert math.isnan(surface_dice(empty, empty, spacing_mm=SPACING_MM, tolerance_mm=1.0))
    assert math.isnan(hausdorff_95_mm(empty, empty, spacing_mm=SPACING_MM))
    for label, mask in ((empty, full), (full, empty)):
        assert surface_dice(label, mask, spacing_mm=SPACING_MM, tolerance_mm=1.0) == 0.0
        assert hausdorff_95_mm(label, mask, spacing_mm=SPACING_MM) == pytest.approx(diagonal)


def test_picture_of_one_slice_has_outlines() -> None:
    label, mask = np.zeros((20, 20, 1), bool), np.zeros((20, 20, 1), bool)
    label[4:12, 4:12], mask[6:14, 4:12] = True, True
    spacing_mm = (0.5, 0.5, 1.0)
    assert hausdorff_95_mm(label, mask, spacing_mm=spacing_mm) == pytest.approx(1.0)
    assert surface_dice(label, mask, spacing_mm=spacing_mm, tolerance_mm=1.0) == 1.0
    assert 0.3 < surface_dice(label, mask, spacing_mm=spacing_mm, tolerance_mm=0.4) < 0.9


def test_masks_on_other_grids_are_refused() -> None:
    with pytest.raises(GeometryError, match="put both on one grid first"):
        surface_dice(cube(1, 1, 1), np.zeros((2, 2, 2), bool), spacing_mm=SPACING_MM, tolerance_mm=1.0)
    with pytest.raises(GeometryError, match="put both on one grid first"):
        hausdorff_95_mm(cube(1, 1, 1), np.zeros((2, 2, 2), bool), spacing_mm=SPACING_MM)
