"""Polygons to masks: the even-odd rule at the centres of pixels, and one owner for what lies on an edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from medseg.scans.dicom.rasterise import fill_even_odd

SHAPE = (23, 31)
CENTRES = np.stack(np.meshgrid(np.arange(SHAPE[0]), np.arange(SHAPE[1]), indexing="ij"), axis=-1).reshape(-1, 2)
SQUARE = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], float)
seeds = st.integers(0, 2**32 - 1)


def star(rng: np.random.Generator, corners: int) -> np.ndarray:
    """A polygon without crossings about a random centre; it may reach beyond the picture."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = rng.uniform(1, 16, corners)
    return rng.uniform(0, SHAPE) + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def by_matplotlib(polygon: np.ndarray) -> np.ndarray:
    closed = np.vstack([polygon, polygon[:1]])
    return Outline(closed, closed=True).contains_points(CENTRES).reshape(SHAPE)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, corners=st.integers(3, 40))
def test_any_polygon_without_crossings_is_as_matplotlib_fills_it(seed: int, corners: int) -> None:
    polygon = star(np.random.default_rng(seed), corners)
    np.testing.assert_array_equal(fill_even_odd([polygon], SHAPE), by_matplotlib(polygon))


@settings(max_examples=40, deadline=None)
@given(seed=seeds, count=st.integers(2, 5))
def test_several_polygons_are_those_pixels_that_an_odd_number_of_them_holds(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    polygons = [star(rng, int(rng.integers(3, 12))) for _ in range(count)]
    odd = np.sum([by_matplotlib(polygon) for polygon in polygons], axis=0) % 2 == 1
    np.testing.assert_array_equal(fill_even_odd(polygons, SHAPE), odd)


@settings(max_examples=60, deadline=None)
@given(
    corners=st.lists(st.tuples(st.integers(-3, 25), st.integers(-3, 33)), min_size=3, max_size=8, unique=True),
    cut=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    offset=st.sampled_from([0.0, 0.5, 1e-9, -1e-9]),
)
def test_polygons_that_share_an_edge_share_no_pixel_and_leave_none(
    corners: list[tuple[int, int]], cut: tuple[int, int], offset: float
) -> None:
    """A polygon cut in two at two of its corners, which lie on centres of pixels."""
    polygon = np.array(corners, float) + offset
    first, last = sorted(n % len(polygon) for n in cut)
    parts = [polygon[first : last + 1], np.vstack([polygon[last:], polygon[: first + 1]])]
    masks = [fill_even_odd([part], SHAPE) for part in parts if len(part) >= 3]
    np.testing.assert_array_equal(np.sum(masks, axis=0) % 2 == 1, fill_even_odd([polygon], SHAPE))


@settings(max_examples=30, deadline=None)
@given(seed=seeds, start=st.integers(0, 9))
def test_direction_and_first_corner_do_not_matter(seed: int, start: int) -> None:
    polygon = np.round(star(np.random.default_rng(seed), 10) * 2) / 2  # corners on centres and edges of pixels
    expected = fill_even_odd([polygon], SHAPE)
    np.testing.assert_array_equal(fill_even_odd([np.roll(polygon, start, axis=0)], SHAPE), expected)
    np.testing.assert_array_equal(fill_even_odd([polygon[::-1]], SHAPE), expected)


def test_centre_on_a_lower_edge_is_inside_and_on_an_upper_one_outside() -> None:
    mask = fill_even_odd([SQUARE * (3, 4) + (2, 5)], SHAPE)
    assert np.argwhere(mask).min(axis=0).tolist() == [2, 5]
    assert np.argwhere(mask).max(axis=0).tolist() == [4, 8]
    assert mask.sum() == 12


def test_noise_of_the_way_to_millimetres_and_back_does_not_move_an_edge() -> None:
    square = SQUARE * (3, 4) + (2, 5)
    for sign in (-1, 1):
        np.testing.assert_array_equal(fill_even_odd([square + sign * 2e-9], SHAPE), fill_even_odd([square], SHAPE))


def test_inner_polygon_is_a_hole_and_one_within_it_an_island() -> None:
    squares = [SQUARE * (20 - 2 * n) + n + 0.5 for n in (0, 4, 8)]
    mask = fill_even_odd(squares, SHAPE)
    assert mask.sum() == 20**2 - 12**2 + 4**2
    assert mask[1, 1]
    assert not mask[6, 6]
    assert mask[10, 10]


def test_keyhole_is_a_hole() -> None:
    """One polygon that goes in along a seam, round the hole, and out again."""
    outer = SQUARE * 12 + 0.5
    inner = (SQUARE * 4 + 4.5)[::-1]
    seam = np.vstack([outer, outer[:1], np.roll(inner, 1, axis=0), inner[-1:]])
    np.testing.assert_array_equal(fill_even_odd([seam], SHAPE), fill_even_odd([outer, inner], SHAPE))
    assert fill_even_odd([seam], SHAPE).sum() == 12**2 - 4**2


@pytest.mark.parametrize("radius", [8.0, 40.0, 150.0])
def test_area_of_a_circle(radius: float) -> None:
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    circle = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1) + 160.3
    assert fill_even_odd([circle], (320, 330)).sum() == pytest.approx(np.pi * radius**2, rel=0.01)


def test_polygon_beyond_the_picture_is_cut_off() -> None:
    assert fill_even_odd([SQUARE * 1000 - 500], SHAPE).all()
    assert not fill_even_odd([SQUARE * 5 + (100, 3)], SHAPE).any()
    assert not fill_even_odd([SQUARE * 5 + (3, 100)], SHAPE).any()
    assert fill_even_odd([SQUARE * (4, 1000) + (1.5, 10.5)], SHAPE).sum() == 4 * (31 - 11)


@pytest.mark.parametrize("polygon", [SQUARE * (0, 5) + 3, SQUARE * (5, 0) + 3, SQUARE * 0 + 3, np.zeros((0, 2))])
def test_polygon_without_an_area_is_empty(polygon: np.ndarray) -> None:
    assert not fill_even_odd([polygon], SHAPE).any()


def test_no_polygon_is_an_empty_mask() -> None:
    mask = fill_even_odd([], SHAPE)
    assert mask.shape == SHAPE
    assert mask.dtype == bool
    assert not mask.any()
