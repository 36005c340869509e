"""Measured and scaled seconds of training steps."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from medseg.networks import NetworkConfig
from medseg.planning import StepCost
from medseg.planning.step_cost import NAME, _DryRun, _usual
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


def test_own_networks_are_measured_apart(tmp_path: Path) -> None:
    """Two that are built from the same settings are not the same network."""
    for name in ("", "mine.Small", "mine.Large", "mine.Small"):
        StepCost(CPU, folder=tmp_path, name=name).measure(NETWORK, training(16, 16, 16))
    assert len(json.loads((tmp_path / NAME).read_text())) == 3


def test_price_of_a_compiled_training_is_a_share_of_the_dry_run_s(tmp_path: Path) -> None:
    whole, compiled = StepCost(CPU, folder=tmp_path), StepCost(CPU, folder=tmp_path, share=0.5)
    for price in (StepCost.measure, StepCost.estimate):
        eager, shorter = (price(cost, NETWORK, training(16, 16, 16)) for cost in (whole, compiled))
        assert shorter.seconds == pytest.approx(0.5 * eager.seconds)
        assert shorter.memory_bytes == eager.memory_bytes
    assert StepCost(CPU, folder=tmp_path).measure(NETWORK, training(16, 16, 16)) == whole.measure(
        NETWORK, training(16, 16, 16)
    )


@pytest.mark.parametrize("content", ["", "{", "[1]", "\ufeff{}", '{"a": 1}', '{"a": [1]}'])
def test_a_broken_file_is_measured_over(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content)
    price = StepCost(CPU, folder=tmp_path).measure(NETWORK, training(16, 16, 16))
    assert list(json.loads((tmp_path / NAME).read_text()).values()) == [list(price)]


def test_estimates_lie_on_the_line_through_the_last_two_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant of 0.1 s, and 0.2 s for every 16 planes of a patch."""
    monkeypatch.setattr(
        "medseg.planning.step_cost._dry_run",
        lambda build, network, config, device, limit_s: _DryRun(
            0.1 + 0.2 * config.patch_size[0] / 16, 10**9, is_warm=True
        ),
    )
    cost = StepCost(CPU)
    cost.measure(NETWORK, training(16, 16, 16))
    one = cost.estimate(NETWORK, training(32, 16, 16)).seconds
    assert 0.5 < one < 0.6
    cost.measure(NETWORK, training(48, 16, 16))
    assert cost.estimate(NETWORK, training(32, 16, 16)).seconds == pytest.approx(0.5)
    assert cost.estimate(NETWORK, training(16, 16, 16, batch=4)).seconds == pytest.approx(0.9)
    assert cost.measure(NETWORK, training(48, 16, 16)).seconds == pytest.approx(0.7)
    assert cost.estimate(NETWORK, training(48, 16, 16)).seconds == pytest.approx(0.7)


@pytest.mark.parametrize("seconds", [(0.5, 0.5), (0.5, 0.2), (0.1, 5.0)])
def test_estimates_stay_sensible_where_measurements_are_not(
    monkeypatch: pytest.MonkeyPatch, seconds: tuple[float, float]
) -> None:
    """Another program began or ended between the two."""
    coming = iter(seconds)
    monkeypatch.setattr("medseg.planning.step_cost._dry_run", lambda *all, limit_s: _DryRun(next(coming), 10**9, True))
    cost = StepCost(CPU)
    cost.measure(NETWORK, training(16, 16, 16))
    cost.measure(NETWORK, training(48, 16, 16))
    estimates = [cost.estimate(NETWORK, training(size, 16, 16)).seconds for size in (16, 32, 48, 96)]
    assert estimates == sorted(estimates)
    assert min(estimates) > 0
    assert estimates[2] == pytest.approx(seconds[1])


def test_measurement_ends_after_the_step_that_reaches_its_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counted: list[int] = []
    update = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *both: (counted.append(1), update(*both)))
    for limit_s in (0, -5):
        assert StepCost(CPU, folder=tmp_path).measure(NETWORK, training(16, 16, 16), limit_s=limit_s).seconds > 0
        assert len(counted) == 1
        counted.clear()
    assert not (tmp_path / NAME).exists()  # a cold step alone is not kept
    StepCost(CPU, folder=tmp_path).measure(NETWORK, training(16, 16, 16))
    assert 4 <= len(counted) <= 13


def test_burst_of_other_work_does_not_enter_the_price() -> None:
    assert _usual([0.1, 0.1, 0.9, 2.0, 0.1, 0.1, 1.5]) == pytest.approx(0.1)
    assert _usual([0.3]) == 0.3


def test_memory_grows_with_the_features() -> None:
    cost = StepCost(CPU)
    cost.measure(NETWORK, training(16, 16, 16))
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
    assert measured.seconds < doubled.seconds <= 2 * measured.seconds
    assert doubled.memory_bytes >= measured.memory_bytes


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A GPU that is asked for nothing but its name."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "made-up")
    return torch.device("cuda")


GIB = 2**30
# GiB of a training step of the GPU's network with two labels on an H100 (benchmarks/README.md).
ON_H100 = [(160, 2, 9.4), (192, 2, 15.6), (256, 2, 36.0), (128, 1, 2.9), (128, 8, 18.4), (128, 32, 71.2)]


def test_gpu_s_memory_is_scaled_from_what_it_counted_itself(gpu: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "medseg.planning.step_cost._dry_run",
        lambda build, network, config, device, limit_s: _DryRun(0.1, int(5.2 * GIB), is_warm=True),
    )
    wide = NetworkConfig(
        spatial_dims=3,
        in_channels=1,
        out_channels=3,
        channels=(32, 64, 128, 256, 320, 320),
        strides=((1, 1, 1), *((2, 2, 2),) * 5),
        kernels=((3, 3, 3),) * 6,
        blocks=(1, 2, 2, 2, 2, 2),
        decoder_blocks=(1,) * 5,
        activation="relu",
    )
    cost = StepCost(gpu)
    assert cost.measure(wide, training(128, 128, 128, batch=2)).memory_bytes == int(5.2 * GIB)
    for side, batch, gib in ON_H100:
        estimate = cost.estimate(wide, training(side, side, side, batch=batch))
        assert estimate.memory_bytes / GIB == pytest.approx(gib, rel=0.1)


def test_step_that_does_not_fit_into_a_gpu_is_scaled_from_fewer_patches(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def dry_run(build: object, network: object, config: TrainingConfig, device: object, limit_s: float) -> _DryRun:
        tried.append(config.batch_size)
        if config.batch_size > 2:
            raise torch.OutOfMemoryError("no room")
        return _DryRun(0.2 * config.batch_size, 10**8 * config.batch_size, is_warm=True)

    monkeypatch.setattr("medseg.planning.step_cost._dry_run", dry_run)
    cost = StepCost(gpu)
    price = cost.measure(NETWORK, training(16, 16, 16, batch=8))
    assert tried == [8, 4, 2]
    assert price == cost.estimate(NETWORK, training(16, 16, 16, batch=8))
    assert price.memory_bytes == pytest.approx(8 * 10**8, rel=0.01)
    assert 0.4 < price.seconds <= 1.6


def test_gpu_that_cannot_hold_one_patch_is_an_error(gpu: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    def dry_run(*arguments: object, limit_s: float) -> _DryRun:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr("medseg.planning.step_cost._dry_run", dry_run)
    with pytest.raises(torch.OutOfMemoryError, match="no room"):
        StepCost(gpu).measure(NETWORK, training(16, 16, 16, batch=2))


@pytest.mark.parametrize(("most_bytes", "limit_s"), [(3e7, math.inf), (math.inf, 1e-4)])
def test_step_that_is_out_of_question_is_scaled_from_a_smaller_one(
    monkeypatch: pytest.MonkeyPatch, most_bytes: float, limit_s: float
) -> None:
    tried: list[tuple[int, tuple[int, ...]]] = []

    def dry_run(build: object, network: object, config: TrainingConfig, device: object, limit_s: float) -> _DryRun:
        tried.append((config.batch_size, config.patch_size))
        return _DryRun(1e-3 * config.batch_size * math.prod(config.patch_size), 10**7, is_warm=True)

    monkeypatch.setattr("medseg.planning.step_cost._dry_run", dry_run)
    cost = StepCost(torch.device("cpu"), most_bytes=most_bytes)
    large = training(64, 64, 64, batch=4)
    price = cost.measure(NETWORK, large, limit_s=limit_s)
    assert len(tried) == 1
    assert tried[0][0] == 1
    assert math.prod(tried[0][1]) < 64**3
    assert all(size % step == 0 for size, step in zip(tried[0][1], NETWORK.reduction, strict=True))
    assert price.seconds == pytest.approx(1e-3 * 4 * 64**3, rel=0.3)
    small = training(16, 16, 16, batch=1)
    cost.measure(NETWORK, small)
    assert tried[-1] == (1, (16, 16, 16))
