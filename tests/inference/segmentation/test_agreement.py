"""Disagreement of models against Dice by hand, for labels and for regions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from medseg.inference.segmentation.agreement import Agreement
from medseg.targets import ExclusiveLabels, LabelMap, Regions

LABELS = {"background": 0, "a": 3, "b": 7, "c": 1}
TARGETS: dict[str, LabelMap] = {
    "labels": ExclusiveLabels(labels=LABELS),
    "regions": Regions(labels=LABELS, regions={"all": (1, 3, 7), "inner": (3,)}, order=(1, 3)),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_disagreement_is_one_minus_the_mean_dice_of_all_pairs(kind: str) -> None:
    target, parts = TARGETS[kind], 3
    generator = torch.Generator().manual_seed(0)
    values = [[torch.rand(target.channels, 5, 4, 3, generator=generator) for _ in range(parts)] for _ in range(3)]
    agreement = Agreement(target, 3)
    for part in zip(*values, strict=True):
        agreement.add(part)
    masks = [np.concatenate([target.decide(part) for part in member]) for member in values]
    found = agreement.disagreement()
    assert list(found) == list(target.structures)
    for name in target.structures:
        shown = [target.shows(mask, name) for mask in masks]
        dice = [2 * (one & other).sum() / (one.sum() + other.sum()) for one, other in combinations(shown, 2)]
        assert found[name] == pytest.approx(1 - np.mean(dice))


def test_structure_that_no_model_found_has_no_disagreement() -> None:
    target = TARGETS["labels"]
    values = torch.zeros(4, 2, 2, 2)
    values[1] = 1  # label 1
    agreement = Agreement(target, 2)
    agreement.add([values, values])
    found = agreement.disagreement()
    assert found["c"] == 0
    assert np.isnan(found["a"])
