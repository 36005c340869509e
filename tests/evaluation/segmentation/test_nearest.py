"""Nearest points: looked up, searched for and transformed, with one answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.evaluation.segmentation import nearest
from medseg.evaluation.segmentation.nearest import nearest_distances
from medseg.records import Mask
from scipy.ndimage import distance_transform_edt


def expected(points: Mask, targets: Mask, spacing_mm: tuple[float, ...]) -> np.ndarray:
    return np.asarray(distance_transform_edt(~targets, sampling=spacing_mm))[points]


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 24), min_size=2, max_size=3),
    seed=st.integers(0, 2**20),
    share=st.sampled_from([0.001, 0.02, 0.3, 1.0]),
    data=st.data(),
)
def test_distances_are_those_of_a_distance_transform(
    shape: list[int], seed: int, share: float, data: st.DataObject
) -> None:
    spacing = tuple(data.draw(st.sampled_from([0.3, 0.7, 1.0, 2.5, 6.0])) for _ in shape)
    rng = np.random.default_rng(seed)
    points, targets = rng.random(shape) < 0.2, rng.random(shape) < share
    targets.flat[rng.integers(targets.size)] = True
    found = nearest_distances(points, targets, spacing_mm=spacing)
    np.testing.assert_allclose(found, expected(points, targets, spacing), rtol=1e-9)


@pytest.mark.parametrize("many", [0, 10**9])
def test_far_points_have_the_same_answer_from_the_tree_and_from_the_transform(
    many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "_MANY", many)
    points, targets = np.zeros((60, 50, 40), bool), np.zeros((60, 50, 40), bool)
    points[:3, :9, :9], targets[55:, 40:, 30:] = True, True
    spacing_mm = (0.8, 1.5, 3.0)
    found = nearest_distances(points, targets, spacing_mm=spacing_mm)
    np.testing.assert_allclose(found, expected(points, targets, spacing_mm), rtol=1e-6)


def test_no_points_have_no_distances() -> None:
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    assert nearest_distances(empty, full, spacing_mm=(1.0, 1.0)).shape == (0,)
