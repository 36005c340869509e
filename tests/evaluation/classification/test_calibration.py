"""Temperatures of data whose temperature is known, and bins by hand and against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.evaluation.classification import fit_temperature, reliability_bins
from medseg.records import Array
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

SEEDS: Any = st.integers(0, 2**31)


def sigmoid(logits: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-logits)))


def test_two_logits_that_are_right_three_times_in_four_have_the_odds_as_their_temperature() -> None:
    # Logit ±2, right in 3 of 4: the likelihood is highest where sigmoid(2 / T) = 3/4, so T = 2 / ln 3.
    logits, truth = np.array([[2.0]] * 4 + [[-2.0]] * 4), np.array([[1]] * 3 + [[0]] * 4 + [[1]])
    assert fit_temperature(logits, truth, kind="multilabel") == pytest.approx(2 / np.log(3), rel=1e-4)
    # Softmax over three classes, one ahead by 3 and right in half: exp(3 / T) / (exp(3 / T) + 2) = 1/2, T = 3 / ln 2.
    logits, truth = np.array([[3.0, 0, 0]] * 4), np.eye(3, dtype=int)[[0, 0, 1, 2]]
    assert fit_temperature(logits, truth, kind="multiclass") == pytest.approx(3 / np.log(2), rel=1e-4)


@given(SEEDS, st.floats(0.5, 5.0), st.sampled_from(["multilabel", "multiclass"]))
@settings(max_examples=20, deadline=None)
def test_no_other_temperature_is_more_likely(seed: int, scale: float, kind: Any) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(size=(300, 3)) * 2
    if kind == "multilabel":
        truth = (random.random(logits.shape) < sigmoid(logits)).astype(int)
        losses = [
            log_loss(truth.ravel(), sigmoid(scale * logits / t).ravel())
            for t in scale * np.array([fit_temperature(scale * logits, truth, kind=kind) / scale, 0.5, 0.9, 1.1, 2.0])
        ]
    else:
        truth = np.eye(3, dtype=int)[(logits + random.gumbel(size=logits.shape)).argmax(axis=1)]
        found = fit_temperature(scale * logits, truth, kind=kind)
        losses = []
        for t in (found, 0.5 * scale, 0.9 * scale, 1.1 * scale, 2 * scale):
            powers = np.exp(scale * logits / t)
            losses.append(log_loss(truth.argmax(axis=1), powers / powers.sum(axis=1, keepdims=True)))
    assert losses[0] <= min(losses) + 1e-6


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_temperature_grows_with_the_logits(kind: Any) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(500, 4))
    truth = np.eye(4, dtype=int)[(logits + random.gumbel(size=logits.shape)).argmax(axis=1)]
    once, thrice = (fit_temperature(k * logits, truth, kind=kind) for k in (1, 3))
    assert thrice == pytest.approx(3 * once, rel=1e-3)


def test_unknown_truth_does_not_count() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(200, 2)) * 3
    truth = (random.random(logits.shape) < sigmoid(logits / 2)).astype(int)
    more = np.concatenate([logits, np.full((50, 2), 30.0)]), np.concatenate([truth, np.full((50, 2), -1)])
    known = fit_temperature(logits, truth, kind="multilabel")
    assert fit_temperature(*more, kind="multilabel") == pytest.approx(known, rel=1e-4)
    assert 1.5 < known < 2.6


def test_degenerate_data_give_the_stated_bounds() -> None:
    right, wrong = np.array([[2.0], [-3.0]]), np.array([[-2.0], [3.0]])
    truth = np.array([[1], [0]])
    assert fit_temperature(right, truth, kind="multilabel") == pytest.approx(0.1)
    assert fit_temperature(wrong, truth, kind="multilabel") == pytest.approx(100)
    assert fit_temperature(np.array([[-1.0], [-2.0]]), np.zeros((2, 1), int), kind="multilabel") == pytest.approx(0.1)
    assert fit_temperature(np.array([[3.0, 0.0]]), np.array([[1, 0]]), kind="multiclass") == pytest.approx(0.1)
    assert fit_temperature(np.zeros((2, 1)), truth, kind="multilabel") == 1.0
    assert fit_temperature(1000 * right, truth, kind="multilabel") == 1.0
    assert fit_temperature(right, np.full((2, 1), -1), kind="multilabel") == 1.0
    assert fit_temperature(np.ones((2, 2)), np.array([[1, 1], [0, 0]]), kind="multiclass") == 1.0
    assert fit_temperature(np.empty((0, 3)), np.empty((0, 3), int), kind="multilabel") == 1.0


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_filled_bins_are_scikit_learn_s(seed: int) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.random(60)
    truth = np.append(0, random.integers(2, size=59))
    truth[-1] = 1
    bins = reliability_bins(probabilities, truth, bins=8)
    observed, stated = calibration_curve(truth, probabilities, n_bins=8)
    there = bins.counts > 0
    np.testing.assert_allclose(bins.observed[there], observed)
    np.testing.assert_allclose(bins.stated[there], stated)
    assert bins.counts.sum() == 60
    assert bins.error == pytest.approx(np.sum(bins.counts[there] / 60 * np.abs(observed - stated)))


def test_bins_hold_their_lower_edge_and_the_last_one_holds_one() -> None:
    bins = reliability_bins(np.array([0.0, 0.25, 0.5, 1.0, 0.3]), np.array([0, 1, 1, 1, -1]), bins=4)
    assert bins.counts.tolist() == [1, 1, 1, 1]
    np.testing.assert_array_equal(bins.edges, [0, 0.25, 0.5, 0.75, 1])
    assert bins.error == pytest.approx((0.75 + 0.5) / 4)


def test_no_known_row_has_no_error() -> None:
    bins = reliability_bins(np.array([0.5]), np.array([-1]))
    assert np.isnan(bins.error)
    assert np.isnan(bins.observed).all()
    assert len(bins.counts) == 15
