"""Measured and scaled seconds of training steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from medseg.networks import NetworkConfig
from medseg.planning import StepCost
from medseg.planning.step_cost import NAME
from medseg.training.segmentation import TrainingConfig

from tests.networks.segmentation.small_nets import KINDS, small_net

CPU = torch.device("cpu")
NETWORK = NetworkConfig(
    spatial_dims=3,
    in_channels=1,
    out_channels=3,
    channels=(4, 8),
    strides=((1, 1, 1), (2, 2, 2)),
    kernels=((3, 3, 3), (3, 3, 3)),
    blocks=(1, 1),
    decoder_blocks=(1,),
)


def training(*patch: int, batch: int = 1) -> TrainingConfig:
    i, j, k = patch
    return TrainingConfig(patch_size=(i, j, k), batch_size=batch)


def test_a_measurement_is_positive_and_kept(tmp_path: Path) -> None:
    first = StepCost(CPU, folder=tmp_path).measure(NETWORK, training(16, 16, 16))
    assert first > 0
    assert list(json.loads((tmp_path / NAME).read_text()).values()) == [first]
    assert StepCost(CPU, folder=tmp_path).measure(NETWORK, training(16, 16, 16)) == first


@pytest.mark.parametrize("content", ["", "{", "[1]", "\ufeff{}"])
def test_a_broken_file_is_measured_over(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content)
    seconds = StepCost(CPU, folder=tmp_path).measure(NETWORK, training(16, 16, 16))
    assert list(json.loads((tmp_path / NAME).read_text()).values()) == [seconds]


def test_estimates_are_scaled_by_multiply_adds() -> None:
    cost = StepCost(CPU)
    measured = cost.measure(NETWORK, training(16, 16, 16))
    assert cost.estimate(NETWORK, training(32, 16, 16)) == pytest.approx(2 * measured)
    assert cost.estimate(NETWORK, training(16, 16, 16, batch=3)) == pytest.approx(3 * measured)


def test_a_measurement_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    StepCost(CPU).measure(NETWORK, training(16, 16, 16))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_of_any_kind_is_measured_and_scaled(kind: str) -> None:
    cost, network = StepCost(CPU), small_net(kind, spatial_dims=2)
    measured = cost.measure(network, training(64, 32, 1))
    assert cost.estimate(network, training(64, 32, 1, batch=2)) == pytest.approx(2 * measured)
