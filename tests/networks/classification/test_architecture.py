"""The table of architectures is whole, true to the networks that are built from it, and costs no torch."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from medseg.networks.classification import ClassifierConfig, SliceClassifier
from medseg.networks.classification.architecture import (
    ARCHITECTURES,
    NAMED_ARCHITECTURES,
    Architecture,
    WeightNaming,
)
from medseg.networks.classification.imagenet import _RENAME
from torch import nn

NORMS = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)
COMPARED_AT = {"alexnet": 8, "vgg16": 16, "bn_inception": 32, "densenet121": 121, "efficientnet_b0": 82}


def test_every_architecture_has_its_row() -> None:
    assert set(ARCHITECTURES) == set(get_args(Architecture))
    assert all(facts.name == name for name, facts in ARCHITECTURES.items())
    assert set(NAMED_ARCHITECTURES) == set(ARCHITECTURES) - {"encoder"}
    assert len({facts.label for facts in ARCHITECTURES.values()}) == len(ARCHITECTURES)


def test_every_naming_of_weights_can_be_read() -> None:
    assert set(_RENAME) == set(get_args(WeightNaming)) == {f.weight_naming for f in ARCHITECTURES.values()} - {None}


@pytest.mark.parametrize("name", NAMED_ARCHITECTURES)
def test_row_says_whether_the_network_normalises(name: Architecture) -> None:
    with torch.device("meta"):
        network = SliceClassifier(ClassifierConfig(architecture=name, in_channels=1, out_channels=2))
    assert any(isinstance(module, NORMS) for module in network.modules()) == ARCHITECTURES[name].is_normalised


@pytest.mark.parametrize("name", NAMED_ARCHITECTURES)
def test_depth_comes_from_the_blocks_or_from_the_row(name: Architecture) -> None:
    facts = ARCHITECTURES[name]
    assert (facts.depth is None) == bool(facts.blocks) == (facts.block is not None)
    assert facts.depth == COMPARED_AT.get(name)


def test_comparison_sets_each_plain_net_beside_its_residual_twin() -> None:
    compared = [name for name, facts in ARCHITECTURES.items() if facts.is_compared]
    assert compared == [
        "plain18", "resnet18", "plain34", "resnet34", "resnet50", "alexnet", "vgg16", "bn_inception", "densenet121",
        "efficientnet_b0",
    ]  # fmt: skip
