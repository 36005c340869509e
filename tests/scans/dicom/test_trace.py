"""Polygons of masks: filled again they are the mask, one for each piece."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from medseg.scans.dicom.rasterise import fill_even_odd
from medseg.scans.dicom.trace import INSET, trace_outlines
from scipy import ndimage


@settings(max_examples=300, deadline=None)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_any_mask_returns_with_a_polygon_for_each_piece(mask: np.ndarray) -> None:
    polygons = trace_outlines(mask)
    np.testing.assert_array_equal(fill_even_odd(polygons, mask.shape), mask)
    assert len(polygons) == ndimage.label(mask)[1]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_area_is_that_of_the_pixels_less_the_inset(seed: int) -> None:
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).random((40, 50)), 2)
    mask = smooth > np.median(smooth)
    area = sum(signed_area(polygon) for polygon in trace_outlines(mask))
    around = np.pad(mask, 1)
    edges = (around[1:] != around[:-1]).sum() + (around[:, 1:] != around[:, :-1]).sum()
    assert area == pytest.approx(mask.sum() - INSET * edges, abs=4 * INSET**2 * edges)


def signed_area(polygon: np.ndarray) -> float:
    following = np.roll(polygon, -1, axis=0)
    return float((polygon[:, 0] * following[:, 1] - polygon[:, 1] * following[:, 0]).sum() / 2)


def test_single_pixel_is_a_square_about_its_centre() -> None:
    mask = np.zeros((5, 6), bool)
    mask[2, 3] = True
    (square,) = trace_outlines(mask)
    half = 0.5 - INSET
    assert {tuple(corner) for corner in np.round(square, 9)} == {
        (2 + one * half, 3 + other * half) for one in (-1, 1) for other in (-1, 1)
    }


def test_straight_edges_have_no_corners() -> None:
    (box,) = trace_outlines(np.ones((40, 30), bool))
    assert len(box) == 4


def test_empty_mask_has_no_polygon() -> None:
    assert trace_outlines(np.zeros((4, 5), bool)) == []
