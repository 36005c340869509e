"""Contradictions of classifier and mask, and what finds failed masks."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from medseg.errors import GeometryError
from medseg.evaluation.classification import failure_auroc
from medseg.inference.classification.disagreement import slice_disagreement
from sklearn.metrics import roc_auc_score


def test_mean_run_and_worst_slice_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.6], [0.1, 0.0]])
    shows = np.array([[True, False], [False, False], [False, False], [False, True], [False, True]])
    found = slice_disagreement(probabilities, shows, classes=("liver", "spleen"))
    liver, spleen = (0.1 + 0.8 + 0.7 + 0.1 + 0.1) / 5, 2.0 / 5
    assert found.mean == pytest.approx((liver + spleen) / 2)
    assert found.longest_run == 2  # the liver's; the spleen's is 1
    assert (found.worst_slice, found.worst_class) == (4, "spleen")


@given(st.lists(st.booleans(), max_size=30))
def test_longest_run_is_that_of_the_longest_group(contradicted: list[bool]) -> None:
    probabilities = np.array(contradicted, float)[:, np.newaxis].reshape(-1, 1)
    found = slice_disagreement(probabilities, np.zeros_like(probabilities, bool), classes=("liver",))
    assert found.longest_run == max((len(list(group)) for is_one, group in groupby(contradicted) if is_one), default=0)


def test_probability_of_a_half_calls_the_class() -> None:
    found = slice_disagreement(np.array([[0.5], [0.5]]), np.array([[True], [True]]), classes=("liver",))
    assert found.longest_run == 0
    assert found.mean == 0.5


def test_no_slice_has_no_mean_and_no_worst() -> None:
    found = slice_disagreement(np.empty((0, 2)), np.empty((0, 2), bool), classes=("liver", "spleen"))
    assert np.isnan(found.mean)
    assert (found.longest_run, found.worst_slice, found.worst_class) == (0, None, None)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"must both have shape \(N, 1\), got \(3, 1\) and \(2, 1\)"):
        slice_disagreement(np.zeros((3, 1)), np.zeros((2, 1), bool), classes=("liver",))
    with pytest.raises(GeometryError, match=r"must both have shape \(N, 2\)"):
        slice_disagreement(np.zeros((3, 1)), np.zeros((3, 1), bool), classes=("liver", "spleen"))


def test_power_to_find_failed_masks_is_scikit_learn_s_auroc() -> None:
    random = np.random.default_rng(0)
    dice = np.round(random.random(40), 2)
    disagreement = np.round(0.6 * (1 - dice) + 0.4 * random.random(40), 1)
    found = failure_auroc(disagreement.tolist(), dice.tolist(), 0.4)
    assert found.auroc == pytest.approx(roc_auc_score(dice < 0.4, disagreement))
    assert found.low < found.auroc < found.high
    assert (found.failed, found.kept) == (int((dice < 0.4).sum()), int((dice >= 0.4).sum()))


def test_mask_at_the_bound_is_kept() -> None:
    assert failure_auroc([0.9, 0.2, 0.1], [0.5, 0.7, 0.8], 0.5)[3:] == (0, 3)
    assert failure_auroc([0.9, 0.2, 0.1], [0.5, 0.7, 0.8], 0.51)[0] == 1.0


@pytest.mark.parametrize("dice", [[0.1, 0.2], [0.8, 0.9], []])
def test_none_or_all_failed_has_no_auroc(dice: list[float]) -> None:
    found = failure_auroc([0.5] * len(dice), dice, 0.5)
    assert np.isnan([found.auroc, found.low, found.high]).all()


def test_case_without_dice_or_disagreement_is_left_out() -> None:
    nan = float("nan")
    assert failure_auroc([0.9, 0.1, 0.0, nan], [0.2, 0.9, nan, 0.1], 0.5)[3:] == (1, 1)


def test_interval_draws_patients() -> None:
    disagreement, dice = [0.9, 0.1, 0.2, 0.8] * 5, [0.2, 0.9, 0.3, 0.9] * 5
    one = failure_auroc(disagreement, dice, 0.5, patients=["p"] * 20)
    assert one.auroc == 0.75
    assert np.isnan(one.low)
    # Five patients with the same four cases: every draw gives the same value.
    same = failure_auroc(disagreement, dice, 0.5, patients=[f"p{n // 4}" for n in range(20)])
    assert (same.low, same.high) == pytest.approx((0.75, 0.75))
    few = failure_auroc([0.9, 0.8, 0.1] + [0.2] * 30, [0.1, 0.2, 0.9] + [0.8] * 30, 0.5)
    assert few.auroc == 1.0  # of two failed masks
    assert np.isnan([few.low, few.high]).all()
    alone = failure_auroc(disagreement, dice, 0.5)
    assert alone.low < 0.7 < 0.8 < alone.high


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(GeometryError, match="must be of one length, got 2, 1 and 1"):
        failure_auroc([0.1, 0.2], [0.5], 0.5)
