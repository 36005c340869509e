"""Overlapping regions that are written into one label map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from medseg.targets import ExclusiveLabels, WrittenRegions, on_logits
from pydantic import ValidationError

LABELS = {"background": 0, "edema": 1, "core": 2, "rim": 3}
TARGET = WrittenRegions(labels=LABELS, regions=((1, 2, 3), (2, 3), (3,)), order=(1, 2, 3))
PROBABILITIES = torch.tensor([[0.4, 0.6, 0.9, 0.2], [0.3, 0.5, 0.8, 0.1], [0.1, 0.2, 0.7, 0.8]]).view(3, 4, 1, 1)


def test_last_region_above_one_half_is_written() -> None:
    assert TARGET.decide(PROBABILITIES)[:, 0, 0].tolist() == [0, 1, 3, 3]


def test_logits_are_decided_at_zero() -> None:
    logits = torch.logit(PROBABILITIES)
    target = on_logits(TARGET)
    assert target.activate(logits) is logits
    np.testing.assert_array_equal(target.decide(logits), TARGET.decide(TARGET.activate(logits)))
    assert (target.channels, target.structures, target.channel_threshold) == (3, TARGET.structures, 0.0)


def test_labels_on_logits_decide_as_their_probabilities() -> None:
    target = ExclusiveLabels(labels=LABELS)
    logits = torch.randn(4, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(on_logits(target).decide(logits), target.decide(target.activate(logits)))
    assert on_logits(target) != target


def test_reference_of_a_region_is_where_one_of_its_values_is() -> None:
    label = np.array([0, 1, 2, 3]).reshape(4, 1, 1)
    assert TARGET.encode(label)[:, :, 0, 0].tolist() == [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]]


def test_sums_count_what_stays_visible() -> None:
    sums = TARGET.soft_sums(PROBABILITIES)
    rim = PROBABILITIES[2].flatten().double()
    assert sums[2].tolist() == [1, 0, 2]  # voxels of edema, core and rim
    torch.testing.assert_close(sums[:2, 2], torch.stack([rim[2:].sum(), rim.sum()]), rtol=1e-6, atol=0)
    assert sums[0, 0] == pytest.approx(0.6 * 0.5 * 0.8)  # edema where neither core nor rim is


def test_rules_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match="one value for each of 1 regions, got 2"):
        WrittenRegions(labels=LABELS, regions=((1,),), order=(1, 2))
    with pytest.raises(ValidationError, match=r"must hold values of labels, got \[7\]"):
        WrittenRegions(labels=LABELS, regions=((1,),), order=(7,))


def test_logits_that_half_precision_makes_equal_go_to_the_lower_value() -> None:
    logits = torch.tensor([0.0, 50.001, 50.003]).reshape(3, 1, 1, 1)
    target = ExclusiveLabels(labels={"background": 0, "liver": 3, "spleen": 7})
    assert on_logits(target).decide(logits).item() == 7
    assert on_logits(target, in_half=True).decide(logits).item() == 3
    many = torch.from_numpy(np.random.default_rng(0).normal(30, 0.1, (3, 9, 9, 9)).astype(np.float32))
    expected = np.array([0, 3, 7])[many.numpy().astype(np.float16).argmax(axis=0)]
    np.testing.assert_array_equal(on_logits(target, in_half=True).decide(many), expected)
