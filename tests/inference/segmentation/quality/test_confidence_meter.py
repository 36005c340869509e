"""The soft Dice of a mask in the making."""

from __future__ import annotations

import pytest
import torch
from medseg.inference.segmentation.quality import ConfidenceMeter
from medseg.targets import ExclusiveLabels

from tests.labels import labels_of

SHUFFLED = ExclusiveLabels(labels={"spleen": 3, "background": 0, "liver": 1})


def random_probabilities() -> torch.Tensor:
    return torch.randn(3, 6, 7, 8, generator=torch.Generator().manual_seed(0)).mul(2).softmax(0)


def test_soft_dice_is_twice_the_overlap_over_the_sums() -> None:
    values = random_probabilities()
    meter = ConfidenceMeter(SHUFFLED)
    meter.observe(values)
    mask = torch.from_numpy(SHUFFLED.decide(values).astype("int64"))
    for name, channel in {"liver": 1, "spleen": 2}.items():
        probability, drawn = values[channel].double(), mask == SHUFFLED.labels[name]
        expected = 2 * probability[drawn].sum() / (probability.sum() + drawn.sum())
        assert meter.soft_dice()[name] == pytest.approx(float(expected), rel=1e-5)


def test_pieces_give_what_the_whole_gives() -> None:
    values = random_probabilities()
    whole, pieces = ConfidenceMeter(SHUFFLED), ConfidenceMeter(SHUFFLED)
    whole.observe(values)
    for piece in values.split([2, 1, 4], dim=2):
        pieces.observe(piece)
    assert pieces.soft_dice() == pytest.approx(whole.soft_dice(), rel=1e-5)


def test_certain_network_promises_a_dice_of_one_and_draws_nothing_of_what_is_not_there() -> None:
    certain = torch.zeros(3, 4, 4, 4)
    certain[0] = 1
    certain[:2, 1:3, 1:3, 1:3] = torch.tensor([0.0, 1.0])[:, None, None, None]
    meter = ConfidenceMeter(labels_of(0, 1, 2))
    meter.observe(certain)
    assert meter.soft_dice() == {"label 1": 1.0}


def test_network_that_saw_nothing_promises_nothing() -> None:
    assert ConfidenceMeter(SHUFFLED).soft_dice() == {}


def test_probabilities_are_not_changed() -> None:
    values = random_probabilities()
    before = values.clone()
    ConfidenceMeter(SHUFFLED).observe(values)
    assert torch.equal(values, before)


def test_millions_of_voxels_promise_what_each_of_them_does() -> None:
    # Of two certainties of 0.97 and 0.03 everywhere, the soft Dice is 2 · 0.97 / (0.97 + 1).
    values = torch.tensor([0.03, 0.97]).view(2, 1, 1, 1).expand(2, 150, 160, 170)
    meter = ConfidenceMeter(labels_of(0, 1))
    meter.observe(values)
    assert meter.soft_dice()["label 1"] == pytest.approx(2 * 0.97 / 1.97, rel=1e-5)


def test_values_that_are_no_numbers_are_noticed() -> None:
    meter = ConfidenceMeter(SHUFFLED)
    assert meter.is_finite
    meter.observe(random_probabilities())
    assert meter.is_finite
    values = random_probabilities()
    values[:, 2, 3, 4] = torch.nan
    meter.observe(values)
    assert not meter.is_finite
