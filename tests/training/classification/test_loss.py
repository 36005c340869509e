"""Cross-entropy as the textbook has it, weighted, and blind to what is unknown."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.targets import ClassKind
from medseg.training.classification.loss import ClassLoss
from medseg.training.classification.weights import class_weights

ONES = np.ones(3)
KINDS: list[ClassKind] = ["multilabel", "multiclass"]


def tensor(rows: list[list[int]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.int8)


def test_logit_of_zero_costs_log_2_per_class() -> None:
    loss = ClassLoss("multilabel", ONES)(torch.zeros(2, 3), tensor([[1, 0, 0], [0, 1, 1]]))
    assert float(loss) == pytest.approx(math.log(2))


def test_equal_logits_cost_log_of_the_number_of_classes() -> None:
    loss = ClassLoss("multiclass", ONES)(torch.zeros(2, 3), tensor([[1, 0, 0], [0, 0, 1]]))
    assert float(loss) == pytest.approx(math.log(3))


def test_positive_weighs_its_class_s_weight_and_negative_one() -> None:
    loss = ClassLoss("multilabel", np.array([5.0, 1.0]))(torch.zeros(2, 2), tensor([[1, -1], [0, -1]]))
    assert float(loss) == pytest.approx((5 + 1) / 2 * math.log(2))


def test_row_weighs_its_class_s_weight() -> None:
    loss = ClassLoss("multiclass", np.array([5.0, 1.0]))(torch.zeros(2, 2), tensor([[1, 0], [0, 1]]))
    assert float(loss) == pytest.approx((5 + 1) / 2 * math.log(2))


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_row_changes_neither_loss_nor_gradient(kind: ClassKind) -> None:
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    target = tensor([[1, 0, 0], [0, 0, 1], [-1, -1, -1]])
    found = logits.clone().requires_grad_()
    loss = ClassLoss(kind, ONES * 2)(found, target)
    loss.backward()
    torch.testing.assert_close(loss.detach(), ClassLoss(kind, ONES * 2)(logits[:2], target[:2]))
    assert found.grad is not None
    assert not found.grad[2].any()
    assert found.grad[:2].all()


def test_unknown_class_of_a_known_row_has_no_gradient() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    ClassLoss("multilabel", ONES)(logits, tensor([[1, -1, 0], [-1, 0, -1]])).backward()
    assert logits.grad is not None
    assert (logits.grad != 0).tolist() == [[True, False, True], [False, True, False]]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_known_costs_nothing_and_is_finite(kind: ClassKind) -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    loss = ClassLoss(kind, ONES)(logits, tensor([[-1] * 3] * 2))
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("row", [[1, 1, 0], [0, 0, 0], [0, -1, 0]])
def test_row_that_is_not_of_one_class_does_not_count(row: list[int]) -> None:
    logits = torch.randn(2, 3)
    loss = ClassLoss("multiclass", ONES)(logits, tensor([[0, 1, 0], row]))
    assert float(loss) == pytest.approx(float(-logits[0].log_softmax(dim=0)[1]))


def test_positive_weighs_as_many_times_as_there_are_more_negatives() -> None:
    truth = np.array([[1, 0], [0, 0], [0, 0], [0, 1], [-1, 1], [-1, 1]])
    assert class_weights(truth, kind="multilabel", strongest=10).tolist() == pytest.approx([3.0, 1.0])


def test_class_weighs_the_inverse_of_its_share_of_the_known_rows() -> None:
    truth = np.eye(3, dtype=int)[[0] * 6 + [1] * 3 + [2] * 3]
    unknown = np.full((20, 3), -1)
    found = class_weights(np.concatenate([truth, unknown]), kind="multiclass", strongest=10)
    assert found.tolist() == pytest.approx([12 / 6 / 3, 12 / 3 / 3, 12 / 3 / 3])


def test_weights_stay_within_their_bounds() -> None:
    truth = np.array([[1, 0]] + [[0, 1]] * 99)
    assert class_weights(truth, kind="multilabel", strongest=10).tolist() == pytest.approx([10, 0.1])


@pytest.mark.parametrize("kind", KINDS)
def test_class_without_positives_or_negatives_weighs_one(kind: ClassKind) -> None:
    truth = np.array([[1, 0, -1]] * 5)
    assert class_weights(truth, kind=kind, strongest=10).tolist() == [1, 1, 1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(-1, 1), min_size=3, max_size=3), min_size=1, max_size=30), st.sampled_from(KINDS))
def test_unknown_rows_do_not_change_the_weights(rows: list[list[int]], kind: ClassKind) -> None:
    truth = np.array(rows)
    more = np.concatenate([truth, np.full((17, 3), -1)])
    found = class_weights(truth, kind=kind, strongest=10)
    assert class_weights(more, kind=kind, strongest=10).tolist() == found.tolist()
    assert np.isfinite(np.log(found)).all()
