"""Outlines of one plane as one area: joined where they cross, holes where one lies inside another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.scans.dicom.outlines import area_of
from medseg.scans.dicom.rasterise import fill_even_odd

SHAPE = (40, 50)
seeds = st.integers(0, 2**32 - 1)


def box(i: float, j: float, height: float, width: float) -> np.ndarray:
    return np.array([[i, j], [i, j + width], [i + height, j + width], [i + height, j]])


def circle(i: float, j: float, radius: float, *, corners: int = 60, start: float = 0.0) -> np.ndarray:
    angles = start + np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack([i + radius * np.cos(angles), j + radius * np.sin(angles)], axis=1)


def filled(*outlines: np.ndarray) -> list[np.ndarray]:
    return [fill_even_odd([outline], SHAPE) for outline in outlines]


@settings(max_examples=60, deadline=None)
@given(seed=seeds, count=st.integers(2, 4))
def test_outlines_that_cross_are_joined_and_counted(seed: int, count: int) -> None:
    """Circles in a row, each through the one before."""
    rng = np.random.default_rng(seed)
    radius = float(rng.uniform(4, 7))
    circles = [circle(20 + rng.uniform(-1, 1), 12 + n * radius * rng.uniform(1.0, 1.2), radius) for n in range(count)]
    area = area_of([circles[n] for n in rng.permutation(count)], SHAPE, is_xor=False)
    np.testing.assert_array_equal(area.mask, np.logical_or.reduce(filled(*circles)))
    assert area.crossing == count
    assert area.copies == 0


@settings(max_examples=60, deadline=None)
@given(seed=seeds, depth=st.integers(2, 5))
def test_outlines_inside_one_another_are_holes_and_islands(seed: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    centre = rng.uniform(18, 22, 2)
    circles = [circle(*centre, 3.0 * level + rng.uniform(0, 2.5)) for level in range(1, depth + 1)]
    area = area_of([circles[n] for n in rng.permutation(depth)], SHAPE, is_xor=False)
    np.testing.assert_array_equal(area.mask, np.logical_xor.reduce(filled(*circles)))
    assert (area.crossing, area.copies) == (0, 0)


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_outlines_that_lie_apart_are_both_filled(seed: int) -> None:
    rng = np.random.default_rng(seed)
    apart = [circle(rng.uniform(8, 32), j, rng.uniform(1, 7)) for j in (9, 25, 41)]
    area = area_of(apart, SHAPE, is_xor=False)
    np.testing.assert_array_equal(area.mask, np.logical_or.reduce(filled(*apart)))
    assert area.crossing == 0


@pytest.mark.parametrize("shift", [1, 5, 9])
def test_strokes_that_share_their_sides_are_joined(shift: int) -> None:
    """No edge of one crosses an edge of the other: their sides lie on the same two lines."""
    strokes = [box(7.5, 4.5, 10, 10), box(7.5, 4.5 + shift, 10, 10)]
    area = area_of(strokes, SHAPE, is_xor=False)
    assert area.mask.sum() == 10 * (10 + shift)
    assert area.crossing == 2


def test_hole_that_touches_the_outer_outline_is_still_a_hole() -> None:
    """So are the holes of outlines that follow the edges of pixels."""
    for hole in (box(0.5, 10.5, 4, 4), box(4.5, 14.5, 4, 6)):
        area = area_of([box(0.5, 0.5, 20, 20), hole], SHAPE, is_xor=False)
        assert area.mask.sum() == 400 - np.ptp(hole, axis=0).prod()
        assert area.crossing == 0


@pytest.mark.parametrize("off", [-0.004, 0.004])
def test_rounded_points_of_a_hole_make_no_crossing(off: float) -> None:
    area = area_of([box(0.5, 0.5, 20, 20), box(4.5, 10.5, 10, 10 + off)], SHAPE, is_xor=False)
    assert area.mask.sum() == 300
    assert area.crossing == 0


@pytest.mark.parametrize("size", [2.0, 8.0])
def test_outline_drawn_again_from_another_corner_or_backwards_is_a_copy(size: float) -> None:
    once = box(3.5, 3.5, size, size)
    for again in (np.roll(once, 1, axis=0), once[::-1], np.repeat(once, 2, axis=0)):
        area = area_of([once, again], SHAPE, is_xor=False)
        assert area.mask.sum() == size * size
        assert (area.crossing, area.copies) == (0, 1)


def test_ring_as_thin_as_a_pixel_stays_a_ring() -> None:
    area = area_of([circle(20, 25, 18.0), circle(20, 25, 17.0)], SHAPE, is_xor=False)
    assert area.mask.sum() == pytest.approx(np.pi * (18**2 - 17**2), rel=0.1)
    assert (area.crossing, area.copies) == (0, 0)


def test_file_that_asks_for_an_exclusive_or_gets_it() -> None:
    strokes = [box(7.5, 4.5, 10, 10), box(7.5, 9.5, 10, 10)]
    area = area_of(strokes, SHAPE, is_xor=True)
    np.testing.assert_array_equal(area.mask, np.logical_xor(*filled(*strokes)))
    assert area.crossing == 0


def test_hole_in_an_area_of_two_strokes_is_a_hole() -> None:
    strokes = [box(4.5, 4.5, 20, 12), box(4.5, 12.5, 20, 20)]
    hole = box(8.5, 20.5, 5, 5)
    area = area_of([hole, *strokes], SHAPE, is_xor=False)
    assert area.mask.sum() == 20 * 28 - 25
    assert area.crossing == 2
