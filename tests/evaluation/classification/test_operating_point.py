"""Thresholds against a search over all candidates, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.evaluation.classification import (
    operating_points,
    threshold_for_sensitivity,
    threshold_for_specificity,
)

ROWS: Any = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([-1, 0, 1])), min_size=1, max_size=40)
SHARES: Any = st.sampled_from([0.05, 0.3, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0])


@given(ROWS, SHARES)
@settings(max_examples=200, deadline=None)
def test_threshold_for_sensitivity_is_the_highest_that_keeps_enough(rows: list[tuple[int, int]], share: float) -> None:
    probabilities, truth = (np.array(column) for column in zip(*rows, strict=True))
    probabilities = probabilities / 12
    positives = probabilities[truth == 1]
    if not len(positives):
        with pytest.raises(ConfigError, match="at least one positive slice, got none of"):
            threshold_for_sensitivity(probabilities, truth, share)
        return
    enough = [t for t in np.arange(0, 1.001, 1 / 12) if (positives >= t - 1e-12).mean() >= share - 1e-12]
    threshold = threshold_for_sensitivity(probabilities, truth, share)
    assert threshold == pytest.approx(max(enough))
    assert (positives >= threshold).mean() >= share - 1e-12


@given(ROWS, SHARES)
@settings(max_examples=200, deadline=None)
def test_threshold_for_specificity_is_the_lowest_given_probability_that_leaves_enough_out(
    rows: list[tuple[int, int]], share: float
) -> None:
    probabilities, truth = (np.array(column) for column in zip(*rows, strict=True))
    negatives = probabilities[truth == 0]
    threshold = threshold_for_specificity(probabilities, truth, share)
    if not len(negatives) or not (truth == 1).any():
        assert np.isnan(threshold)
        return
    enough = [t for t in probabilities[truth >= 0] if (negatives < t).mean() >= share - 1e-12]
    assert threshold == min(enough, default=np.inf)


def test_ties_are_kept_together_and_unknown_left_out() -> None:
    probabilities = np.array([0.9, 0.4, 0.4, 0.4, 0.1, 0.0])
    truth = np.array([1, 1, 1, 0, 1, -1])
    assert threshold_for_sensitivity(probabilities, truth, 0.25) == 0.9
    assert threshold_for_sensitivity(probabilities, truth, 0.26) == 0.4
    assert threshold_for_sensitivity(probabilities, truth, 0.75) == 0.4
    assert threshold_for_sensitivity(probabilities, truth, 0.76) == 0.1
    assert threshold_for_specificity(probabilities, truth, 0.5) == 0.9


def test_single_precision_probability_is_kept_by_its_own_threshold() -> None:
    probabilities = np.array([0.1, 0.7, 0.3], np.float32)
    threshold = threshold_for_sensitivity(probabilities, np.array([1, 0, 0]), 1.0)
    assert (probabilities >= threshold).tolist() == [True, True, True]
    assert (probabilities.astype(np.float64) >= threshold).tolist() == [True, True, True]


def test_negative_at_the_top_leaves_no_threshold_for_full_specificity() -> None:
    assert threshold_for_specificity(np.array([0.9, 0.8]), np.array([0, 1]), 1.0) == np.inf


def test_table_states_what_each_sensitivity_costs() -> None:
    probabilities = np.concatenate([np.arange(1, 101) / 100, np.arange(1, 51) / 100])
    truth = np.repeat([1, 0], [100, 50])
    points = {point.sensitivity: point for point in operating_points(probabilities, truth)}
    assert list(points) == [0.5, 0.8, 0.9, 0.95, 0.975, 0.98, 0.99, 0.995, 0.999, 1.0]
    assert points[0.8].threshold == 0.21
    assert (points[0.8].reached, points[0.8].specificity) == (0.8, 0.4)
    assert points[0.8].kept == pytest.approx((80 + 30) / 150)
    assert points[0.975].reached == 0.98
    assert (points[1.0].threshold, points[1.0].specificity, points[1.0].kept) == (0.01, 0.0, 1.0)
    assert np.isnan(operating_points(np.array([0.5]), np.array([1]))[0].specificity)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, 98.0])
def test_sensitivity_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=r"sensitivity must lie in \(0, 1\]"):
        threshold_for_sensitivity(np.array([0.5]), np.array([1]), share)
