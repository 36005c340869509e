"""What is measured of a mask that was read back is what stands in the mask, however a library turns its grid."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.delivery.certificate import ExpectedMask, MeasuredAgain, compare_masks, measure_again
from medseg.geometry import Geometry
from medseg.records import Labelmap, Scan

from tests.delivery.certificate.test_check_reader import AXES, FLIPS, SEGMENTS, read_back

GRID = Geometry((9, 8, 7), np.diag([0.8, 1.5, 3.0, 1.0]))


def block() -> Labelmap:
    """A liver of 3 by 4 by 2 voxels and a spleen of one voxel; the kidney is empty."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[1:4, 2:6, 1:3] = 3
    labels[6, 1, 4] = 7
    return labels


def measured(labels: Labelmap, geometry: Geometry) -> MeasuredAgain:
    scan = Scan(np.arange(GRID.shape[0] * 8 * 7, dtype=np.float32).reshape(1, *GRID.shape), GRID)
    expected = ExpectedMask.of(block(), SEGMENTS, GRID)
    found = compare_masks(expected, read_back(labels, geometry))
    assert found.checked.is_passed, found.checked.reason
    return measure_again(found, expected, scan)


def test_measurements_are_those_of_the_block() -> None:
    liver, spleen, both, kidney = measured(block(), GRID).structures
    assert (liver.voxels, liver.volume_ml) == (24, pytest.approx(24 * 0.8 * 1.5 * 3 / 1000))
    assert liver.longest_mm == pytest.approx(np.linalg.norm([2 * 0.8, 3 * 1.5, 3.0]))
    assert liver.in_slice_mm == pytest.approx(np.hypot(2 * 0.8, 3 * 1.5))
    assert (liver.first_voxel, liver.last_voxel, liver.slice_index) == ((1, 2, 1), (3, 5, 2), 1)
    assert liver.centroid_mm == pytest.approx((2 * 0.8, 3.5 * 1.5, 1.5 * 3))
    assert (spleen.voxels, spleen.longest_mm, spleen.slice_index) == (1, 0, 4)
    assert spleen.intensities[0] is not None
    assert spleen.intensities[0].mean == 6 * 8 * 7 + 1 * 7 + 4
    assert both.voxels == 25
    assert (kidney.voxels, kidney.volume_ml, kidney.longest_mm, kidney.intensities) == (0, 0, None, ())


@given(order=AXES, flips=FLIPS, is_cropped=st.booleans())
@settings(max_examples=30, deadline=None)
def test_turned_and_cropped_grid_gives_the_same(
    order: list[int], flips: tuple[bool, bool, bool], is_cropped: bool
) -> None:
    turned = block().transpose(order)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    grid = GRID.permuted(order, flips=flips)
    if is_cropped:
        filled = np.flatnonzero(turned.any(axis=(1, 2)))
        extent = range(int(filled[0]), int(filled[-1]) + 1)
        turned, grid = turned[extent.start : extent.stop], grid.cropped(0, extent)
    for one, other in zip(measured(turned, grid).structures, measured(block(), GRID).structures, strict=True):
        found, wanted = asdict(one), asdict(other)
        for name in ("volume_ml", "centroid_mm"):
            assert found.pop(name) == pytest.approx(wanted.pop(name))
        assert found == wanted
