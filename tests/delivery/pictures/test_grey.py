from __future__ import annotations

import numpy as np
import pytest
from medseg.delivery.pictures import stretched


def test_middle_99_per_cent_span_black_to_white() -> None:
    values = np.arange(1001.0)  # the 0.5th percentile is 5, the 99.5th is 995
    shades = stretched(values)
    np.testing.assert_allclose(shades[[0, 5, 500, 995, 1000]], [0, 0, 0.5, 1, 1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_black_and_changes_nothing_else(bad: float) -> None:
    values = np.arange(101.0).reshape(1, -1)
    with_bad = np.concatenate([values, np.full((1, 1), bad)], axis=1)
    np.testing.assert_array_equal(stretched(with_bad), np.concatenate([stretched(values), [[0.0]]], axis=1))


@pytest.mark.parametrize("picture", [np.full((3, 4), 7.0), np.full((3, 4), np.nan), np.empty((0, 4))])
def test_picture_without_contrast_is_black(picture: np.ndarray) -> None:
    np.testing.assert_array_equal(stretched(picture), np.zeros(picture.shape))
