"""A reader passes only if every voxel, name, volume and millimetre is that of the mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.delivery.certificate import ExpectedMask, check_reader, check_sides
from medseg.geometry import Geometry
from medseg.records import Labelmap, Mask
from medseg.scans.read_back import ReadBack
from medseg.scans.segment import CodedTerm, Segment

KIND = CodedTerm(value="91723000", scheme="SCT", meaning="Anatomical structure")
AXES = st.permutations([0, 1, 2])
FLIPS = st.tuples(st.booleans(), st.booleans(), st.booleans())


def segment(number: int, name: str, *values: int) -> Segment:
    return Segment(number=number, name=name, values=values, colour=(255, 0, 0), category=KIND)


SEGMENTS = (segment(1, "liver", 3), segment(2, "spleen", 7), segment(3, "both", 3, 7), segment(4, "kidney", 9))


@pytest.fixture
def grid() -> Geometry:
    turned = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]]) @ np.diag([0.8, 1.5, 3.0])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turned, (-20, 35, 7)
    return Geometry((9, 8, 7), affine)


@pytest.fixture
def labels() -> Labelmap:
    labels = np.zeros((9, 8, 7), np.uint8)
    labels[1:4, 2:6, 1:3] = 3
    labels[5:8, 1:3, 4:6] = 7
    return labels


def read_back(
    labels: Labelmap, grid: Geometry, *, segments: Sequence[Segment] = SEGMENTS, names: dict[int, str] | None = None
) -> ReadBack:
    by_number = {one.number: one for one in segments}

    def mask(number: int) -> Mask:
        return by_number[number].mask(labels)

    present = tuple(number for number in by_number if mask(number).any())
    shown = names if names is not None else {one.number: one.name for one in segments}
    return ReadBack(library="test", geometry=grid, names=shown, numbers=present, mask=mask)


@given(order=AXES, flips=FLIPS)
@settings(max_examples=30, deadline=None)
def test_same_voxels_on_turned_axes_pass(order: list[int], flips: tuple[bool, bool, bool]) -> None:
    affine = np.diag([0.8, 1.5, 3.0, 1.0])
    grid = Geometry((5, 6, 4), affine)
    labels = (np.arange(120).reshape(5, 6, 4) % 5 == 0).astype(np.uint8) * 3
    turned = labels.transpose(order)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    found = read_back(turned, grid.permuted(order, flips=flips))
    checked = check_reader(ExpectedMask.of(labels, SEGMENTS, grid), found)
    assert checked.is_passed, checked.reason
    assert [row.wrong_voxels for row in checked.structures] == [0, 0, 0, 0]


@given(order=AXES, flips=FLIPS, low=st.integers(0, 3), high=st.integers(4, 6), axis=st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_part_that_was_cut_off_counts_as_missing(
    order: list[int], flips: tuple[bool, bool, bool], low: int, high: int, axis: int
) -> None:
    grid = Geometry((7, 8, 6), np.diag([0.8, 1.5, 3.0, 1.0]))
    labels = (np.random.default_rng(0).random(grid.shape) < 0.3).astype(np.uint8) * 3
    turned = labels.transpose(order)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    whole = grid.permuted(order, flips=flips)
    high = min(high, whole.shape[axis])
    kept = (slice(None),) * axis + (slice(low, high),)
    (row, *_) = check_reader(
        ExpectedMask.of(labels, SEGMENTS, grid), read_back(turned[kept], whole.cropped(axis, range(low, high)))
    ).structures
    assert row.voxels_found == np.count_nonzero(turned[kept])
    assert row.wrong_voxels == np.count_nonzero(labels) - np.count_nonzero(turned[kept])


def test_part_of_the_grid_passes_if_it_holds_the_mask(grid: Geometry, labels: Labelmap) -> None:
    part = grid.cropped(2, range(1, 6))
    checked = check_reader(ExpectedMask.of(labels, SEGMENTS, grid), read_back(labels[:, :, 1:6], part))
    assert checked.is_passed, checked.reason
    cut = check_reader(
        ExpectedMask.of(labels, SEGMENTS, grid), read_back(labels[:, :, 2:6], grid.cropped(2, range(2, 6)))
    )
    assert cut.reason == "liver: 12 voxel(s) differ, Dice 0.6667"


def test_numbers_are_those_of_the_mask(grid: Geometry, labels: Labelmap) -> None:
    liver, spleen, both, kidney = check_reader(
        ExpectedMask.of(labels, SEGMENTS, grid), read_back(labels, grid)
    ).structures
    assert (liver.voxels, spleen.voxels, both.voxels, kidney.voxels) == (24, 12, 36, 0)
    assert liver.volume_ml_found == pytest.approx(24 * 0.8 * 1.5 * 3.0 / 1000)
    assert liver.centroid_mm_found == pytest.approx(grid.world_mm(np.array([[2.0, 3.5, 1.5]]))[0].tolist())
    assert (kidney.dice, kidney.centroid_mm, kidney.distance_mm) == (1.0, None, None)


def mirrored(grid: Geometry) -> Geometry:
    return Geometry(grid.shape, np.diag([-1.0, 1.0, 1.0, 1.0]) @ grid.affine)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda labels, grid: (np.roll(labels, 1, axis=0), grid), "liver: 16 voxel"),
        (lambda labels, grid: (np.where(labels == 7, 0, labels), grid), "spleen: 12 voxel"),
        (lambda labels, grid: (labels + 7 * (np.indices(labels.shape).sum(0) == 0), grid), "spleen: 1 voxel"),
        (
            lambda labels, grid: (labels, Geometry(grid.shape, grid.affine + np.eye(4, k=3) * 0.02)),
            "its centroid lies 0.02 mm away",
        ),
        (
            lambda labels, grid: (labels, Geometry(grid.shape, grid.affine @ np.diag([2, 2, 2, 1.0]))),
            "voxels of the file",
        ),
    ],
)
def test_whatever_differs_fails(
    grid: Geometry,
    labels: Labelmap,
    spoil: Callable[[Labelmap, Geometry], tuple[Labelmap, Geometry]],
    reason: str,
) -> None:
    checked = check_reader(ExpectedMask.of(labels, SEGMENTS, grid), read_back(*spoil(labels, grid)))
    assert not checked.is_passed
    assert reason in checked.reason


def test_swapped_sides_fail() -> None:
    grid = Geometry((9, 8, 7), np.diag([1.0, 1.0, 1.0, 1.0]))
    labels = np.zeros((9, 8, 7), np.uint8)
    labels[6:9, 2:5, 2:5] = 3
    checked = check_reader(ExpectedMask.of(labels, SEGMENTS, grid), read_back(labels, mirrored(grid)))
    assert not checked.is_passed


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ({1: "liver", 2: "Spleen", 3: "both"}, "spleen: the file names it 'Spleen'"),
        ({1: "liver", 3: "both"}, "spleen: the file names it None"),
        ({1: "liver", 2: "spleen", 3: "both", 4: "gut"}, "kidney: the file names it 'gut'"),
        ({1: "liver", 2: "spleen", 3: "both", 9: "ghost"}, "the file holds number 9, which no structure has"),
        ({1: " liver", 2: "spleen ", 3: "both"}, ""),
    ],
)
def test_names_must_be_those_of_the_mask(grid: Geometry, labels: Labelmap, names: dict[int, str], reason: str) -> None:
    checked = check_reader(ExpectedMask.of(labels, SEGMENTS, grid), read_back(labels, grid, names=names))
    assert checked.reason == reason


def test_a_number_that_no_structure_has_fails(grid: Geometry, labels: Labelmap) -> None:
    more = (*SEGMENTS, segment(5, "ghost", 3))
    checked = check_reader(ExpectedMask.of(labels, SEGMENTS, grid), read_back(labels, grid, segments=more))
    assert checked.reason == "the file holds number 5, which no structure has"


def test_a_value_that_no_structure_has_fails(grid: Geometry, labels: Labelmap) -> None:
    found = replace(read_back(labels, grid), strays=(77,))
    checked = check_reader(ExpectedMask.of(labels, SEGMENTS, grid), found)
    assert checked.reason == "the file holds value 77, which no structure has"


def test_contours_may_miss_a_voxel_of_many(grid: Geometry) -> None:
    labels = np.full((9, 8, 7), 3, np.uint8)
    found = labels.copy()
    found[0, 0, 0] = 0
    expected = ExpectedMask.of(labels, SEGMENTS, grid)
    assert not check_reader(expected, read_back(found, grid)).is_passed
    assert check_reader(expected, read_back(found, grid), least_dice=0.995).is_passed


def test_pairs_lie_on_their_sides() -> None:
    grid = Geometry((9, 4, 4), np.eye(4))
    segments = (segment(1, "kidney left", 1), segment(2, "Kidney Right", 2), segment(3, "cleft", 3))
    labels = np.zeros((9, 4, 4), np.uint8)
    labels[1], labels[7] = 1, 2
    assert [one.is_left_of_right for one in check_sides(ExpectedMask.of(labels, segments, grid))] == [True]
    swapped = labels[::-1]
    assert [one.is_left_of_right for one in check_sides(ExpectedMask.of(swapped, segments, grid))] == [False]
    alone = np.where(labels == 2, 0, labels).astype(np.uint8)
    assert [one.is_left_of_right for one in check_sides(ExpectedMask.of(alone, segments, grid))] == [None]
