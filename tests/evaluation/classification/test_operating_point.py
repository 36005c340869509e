"""Thresholds against a search over all candidates, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.evaluation.classification import threshold_for_specificity

ROWS: Any = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([-1, 0, 1])), min_size=1, max_size=40)
SHARES: Any = st.sampled_from([0.05, 0.3, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0])


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


def test_negative_at_the_top_leaves_no_threshold_for_full_specificity() -> None:
    assert threshold_for_specificity(np.array([0.9, 0.8]), np.array([0, 1]), 1.0) == np.inf


def test_ties_are_left_together_and_unknown_left_out() -> None:
    probabilities = np.array([0.9, 0.4, 0.4, 0.4, 0.1, 0.0])
    assert threshold_for_specificity(probabilities, np.array([1, 1, 1, 0, 1, -1]), 0.5) == 0.9
