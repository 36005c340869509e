"""Weighted AUROC, average precision and sensitivity against scikit-learn, row by repeated row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.evaluation.classification.ranked_scores import RankedScores
from medseg.evaluation.resampling import patient_weights, percentile_interval
from medseg.records import Array
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

SEEDS: Any = st.integers(0, 2**31)


def made_up(seed: int, *, rows: int, levels: int) -> tuple[Array, Array, Array]:
    """Probabilities on few levels, truth with both values, and owners among five patients."""
    random = np.random.default_rng(seed)
    truth = (random.random(rows) < 0.4).astype(int)
    truth[:2] = 0, 1
    return random.integers(levels + 1, size=rows) / levels, truth, random.integers(5, size=rows)


@given(SEEDS, st.integers(2, 40), st.sampled_from([1, 3, 10, 1000]))
@settings(max_examples=150, deadline=None)
def test_weighted_measures_are_scikit_learn_s_with_ties_or_without(seed: int, rows: int, levels: int) -> None:
    probabilities, truth, owners = made_up(seed, rows=rows, levels=levels)
    weights = np.random.default_rng(seed).integers(0, 4, size=(3, 5)).astype(np.int32)
    measured = RankedScores.of(probabilities, truth, owners).measure(weights, specificity=0.8)
    for number, weight in enumerate(weights):
        each = weight[owners]
        found = {name: values[number] for name, values in measured.items()}
        if not each[truth == 1].any() or not each[truth == 0].any():
            assert np.isnan(list(found.values())).all()
            continue
        drawn = np.repeat(np.arange(rows), each)
        alarms, hits, _ = roc_curve(truth[drawn], probabilities[drawn], drop_intermediate=False)
        assert found == pytest.approx(
            {
                "auroc": roc_auc_score(truth, probabilities, sample_weight=each),
                "average_precision": average_precision_score(truth, probabilities, sample_weight=each),
                "sensitivity": hits[alarms <= 0.2 + 1e-9].max(),
            }
        )


def test_measures_by_hand_with_a_tie_across_classes() -> None:
    probabilities, truth = np.array([0.9, 0.7, 0.7, 0.2]), np.array([1, 1, 0, 0])
    measured = RankedScores.of(probabilities, truth, np.zeros(4, int)).measure(np.ones((1, 1), int), specificity=0.5)
    # Pairs: (.9, .7), (.9, .2), (.7, .2) won and (.7, .7) half. Precision 1 at recall 1/2, then 2/3.
    assert measured["auroc"][0] == 3.5 / 4
    assert measured["average_precision"][0] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert measured["sensitivity"][0] == 1.0
    strict = RankedScores.of(probabilities, truth, np.zeros(4, int)).measure(np.ones((1, 1), int), specificity=0.51)
    assert strict["sensitivity"][0] == 0.5


def test_specificity_is_met_exactly_although_binary_cannot_hold_it() -> None:
    probabilities, truth = np.arange(20) / 20, np.array([0] * 9 + [1] * 9 + [0, 1])
    measured = RankedScores.of(probabilities, truth, np.zeros(20, int)).measure(np.ones((1, 1), int), specificity=0.9)
    assert measured["sensitivity"][0] == 1.0  # one of ten negatives may pass


def test_many_resamples_are_the_same_in_blocks_and_one_by_one() -> None:
    probabilities, truth, owners = made_up(4, rows=9000, levels=50)
    weights = patient_weights(5, 90)
    ranked = RankedScores.of(probabilities, truth, owners)
    together = ranked.measure(weights, specificity=0.9)
    single = [ranked.measure(row[np.newaxis], specificity=0.9) for row in weights]
    for name, values in together.items():
        np.testing.assert_allclose(values, [one[name][0] for one in single], rtol=1e-12)


@pytest.mark.parametrize("truth", [[1, 1, 1], [0, 0, 0], []])
def test_one_sided_truth_has_no_measure(truth: list[int]) -> None:
    ranked = RankedScores.of(np.full(len(truth), 0.5), np.array(truth, int), np.zeros(len(truth), int))
    measured = ranked.measure(np.ones((2, 1), int), specificity=0.9)
    assert all(values.shape == (2,) and np.isnan(values).all() for values in measured.values())


def test_each_resample_draws_as_many_patients_as_there_are() -> None:
    weights = patient_weights(7, 500)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean() == 1.0
    # A patient is missing from a resample with chance (1 - 1/7)^7.
    assert (weights == 0).mean() == pytest.approx((6 / 7) ** 7, abs=0.02)
    assert len({tuple(row) for row in weights.tolist()}) > 300
    np.testing.assert_array_equal(weights, patient_weights(7, 500))


def test_interval_leaves_out_and_counts_resamples_without_a_value() -> None:
    values = np.concatenate([np.arange(1001) / 1000, [np.nan] * 3])
    assert percentile_interval(values) == pytest.approx((0.025, 0.975, 3))
    low, high, dropped = percentile_interval(np.array([0.5] * 39 + [np.nan]))
    assert np.isnan([low, high]).all()
    assert dropped == 1
