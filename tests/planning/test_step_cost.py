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
    assert first.seconds > 0
    assert first.memory_bytes >= 0
    assert list(json.loads((tmp_path / NAME).read_text()).values()) == [list(first)]
    assert StepCost(CPU, folder=tmp_path).measure(NETWORK, training(16, 16, 16)) == first


@pytest.mark.parametrize("content", ["", "{", "[1]", "\ufeff{}", '{"a": 1}', '{"a": [1]}'])
def test_a_broken_file_is_measured_over(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content)
    price = StepCost(CPU, folder=tmp_path).measure(NETWORK, training(16, 16, 16))
    assert list(json.loads((tmp_path / NAME).read_text()).values()) == [list(price)]


def test_estimates_are_scaled_by_multiply_adds_and_features() -> None:
    cost = StepCost(CPU)
    measured = cost.measure(NETWORK, training(16, 16, 16))
    assert cost.estimate(NETWORK, training(32, 16, 16)).seconds == pytest.approx(2 * measured.seconds)
    assert cost.estimate(NETWORK, training(16, 16, 16, batch=3)).seconds == pytest.approx(3 * measured.seconds)
    memory = [cost.estimate(NETWORK, training(size, 16, 16)).memory_bytes for size in (16, 32, 48)]
    assert memory[2] - memory[1] == pytest.approx(memory[1] - memory[0], abs=2)


def test_memory_is_counted_before_anything_is_measured() -> None:
    small, large = (StepCost(CPU).estimate(NETWORK, training(size, 64, 64)) for size in (64, 128))
    assert small.seconds == 0
    assert 1.8 < large.memory_bytes / small.memory_bytes < 2


def test_measured_memory_is_about_that_which_is_counted() -> None:
    network = NETWORK.model_copy(update={"channels": (16, 32)})
    counted = StepCost(CPU).estimate(network, training(128, 96, 96)).memory_bytes
    measured = StepCost(CPU).measure(network, training(128, 96, 96)).memory_bytes
    assert measured > 1e8
    assert 0.3 < counted / measured < 3


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
    doubled = cost.estimate(network, training(64, 32, 1, batch=2))
    assert doubled.seconds == pytest.approx(2 * measured.seconds)
    assert doubled.memory_bytes >= measured.memory_bytes
