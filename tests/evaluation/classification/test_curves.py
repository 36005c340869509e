"""Curves against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.evaluation.classification import precision_recall_curve, roc_curve


@given(st.integers(0, 2**31), st.integers(2, 50), st.sampled_from([2, 10, 1000]))
@settings(max_examples=60, deadline=None)
def test_points_are_scikit_learn_s(seed: int, rows: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.integers(levels, size=rows) / levels
    truth = random.integers(-1, 2, size=rows)
    truth[:2] = 0, 1
    known = truth >= 0
    alarms, hits = roc_curve(probabilities, truth)
    expected = sklearn.metrics.roc_curve(truth[known], probabilities[known], drop_intermediate=False)
    np.testing.assert_allclose(alarms, expected[0])
    np.testing.assert_allclose(hits, expected[1])
    recall, precision = precision_recall_curve(probabilities, truth)
    expected = sklearn.metrics.precision_recall_curve(truth[known], probabilities[known])
    np.testing.assert_allclose(precision, expected[0][:-1][::-1])
    np.testing.assert_allclose(recall, expected[1][:-1][::-1])


@pytest.mark.parametrize("truth", [[1, 1], [0, 0], [-1, -1], []])
@pytest.mark.parametrize("curve", [roc_curve, precision_recall_curve])
def test_one_sided_truth_has_no_curve(curve: Any, truth: list[int]) -> None:
    x, y = curve(np.full(len(truth), 0.5), np.array(truth, int))
    assert len(x) == len(y) == 0
