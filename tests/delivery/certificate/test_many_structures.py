"""A hundred structures are compared and measured one by one, in memory that their number does not multiply."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pytest
from medseg.delivery.certificate import ExpectedMask, compare_masks, measure_again
from medseg.delivery.measurements import measure_structures
from medseg.geometry import Geometry
from medseg.records import Labelmap, Scan

from tests.delivery.certificate.test_check_reader import read_back, segment

GRID = Geometry((64, 48, 40), np.diag([0.8, 1.5, 3.0, 1.0]))
WHOLE = 64 * 48 * 40  # bytes of a mask on the whole grid
SEGMENTS = tuple(segment(value, f"s{value:03d}", value) for value in range(1, 118))
SCAN = Scan(np.arange(WHOLE, dtype=np.float32).reshape(1, *GRID.shape), GRID)


def in_a_box() -> Labelmap:
    """A block of 3 by 3 by 2 voxels for each structure."""
    labels = np.zeros(GRID.shape, np.uint8)
    for one in SEGMENTS:
        i, j, k = np.unravel_index(one.number, (10, 5, 4))
        labels[5 * i : 5 * i + 3, 5 * j : 5 * j + 3, 5 * k : 5 * k + 2] = one.number
    return labels


def in_two_corners() -> Labelmap:
    """Two voxels for each structure, as noise leaves them: the box of each is nearly the whole grid."""
    labels = np.zeros(GRID.shape, np.uint8)
    for one in SEGMENTS:
        i, j = np.unravel_index(one.number, (10, 20))
        labels[i, j, 0] = labels[-1 - i, -1 - j, -1] = one.number
    return labels


@pytest.fixture(params=[in_a_box, in_two_corners])
def labels(request: pytest.FixtureRequest) -> Labelmap:
    made: Labelmap = request.param()
    return made


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
def test_structures_are_held_one_at_a_time(labels: Labelmap) -> None:
    file = labels[::-1, :, ::-1]
    found = read_back(file, GRID.permuted((0, 1, 2), flips=(True, False, True)), segments=SEGMENTS)
    tracemalloc.reset_peak()
    expected = ExpectedMask.of(labels, SEGMENTS, GRID)
    compared = compare_masks(expected, found)
    _, peak = tracemalloc.get_traced_memory()
    assert compared.checked.is_passed, compared.checked.reason
    assert peak < 8 * WHOLE  # all masks at once would take 117


def test_what_was_compared_is_no_mask_in_memory(labels: Labelmap) -> None:
    found = read_back(labels, GRID, segments=SEGMENTS)
    tracemalloc.start()
    held = ExpectedMask.of(labels, SEGMENTS, GRID), compare_masks(ExpectedMask.of(labels, SEGMENTS, GRID), found)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held[1].checked.is_passed
    assert size < 5 * WHOLE


def test_masks_that_are_read_again_are_those_of_the_file(labels: Labelmap) -> None:
    expected = ExpectedMask.of(labels, SEGMENTS, GRID)
    found = compare_masks(expected, read_back(labels, GRID, segments=SEGMENTS))
    for one, mask in zip(expected.structures, found.masks(), strict=True):
        assert one.box is not None
        np.testing.assert_array_equal(mask, labels[one.box] == one.segment.number)


def test_measurements_of_a_hundred_are_those_of_the_mask() -> None:
    labels = in_a_box()
    expected = ExpectedMask.of(labels, SEGMENTS, GRID)
    again = measure_again(compare_masks(expected, read_back(labels, GRID, segments=SEGMENTS)), expected, SCAN)
    wanted = measure_structures(labels, SEGMENTS, SCAN)
    for one, other in zip(again.structures, wanted, strict=True):
        found, exact = asdict(one), asdict(other)
        for name in ("volume_ml", "centroid_mm"):
            assert found.pop(name) == pytest.approx(exact.pop(name))
        assert found == exact
