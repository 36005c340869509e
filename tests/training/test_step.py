"""The step that all tasks share, on one weight."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from medseg.training.batches import Batch
from medseg.training.config import OptimisationConfig
from medseg.training.step import make_step
from torch import Tensor, nn

CPU = torch.device("cpu")


class Line(nn.Module):
    """One weight of 2."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([2.0]))


def take_steps(*, slope: float, iterations: tuple[int, ...] = (1,), **settings: Any) -> tuple[Line, Tensor, list[int]]:
    """SGD at a rate of 0.5 on the loss slope × weight; the network, the last loss and the seeds."""
    network = Line().eval()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.5)
    seeds: list[int] = []

    def loss_of(batch: Batch, seed: int) -> Tensor:
        assert network.training
        seeds.append(seed)
        value: Tensor = (batch["slope"] * network.weight).sum()
        return value

    step = make_step(network, optimiser, OptimisationConfig(**settings), CPU, loss_of=loss_of)
    for iteration in iterations:
        engine: Any = SimpleNamespace(state=SimpleNamespace(iteration=iteration))
        loss = step(engine, {"slope": torch.tensor([slope])})
    return network, loss, seeds


def test_weight_goes_down_the_gradient_and_the_loss_is_that_before() -> None:
    network, loss, _ = take_steps(slope=3.0, gradient_clip=10.0)
    assert network.weight.item() == 2.0 - 0.5 * 3.0
    assert loss.item() == 6.0
    assert not loss.requires_grad


def test_gradient_is_not_longer_than_its_bound() -> None:
    network, _, _ = take_steps(slope=30.0, gradient_clip=1.0)
    assert network.weight.item() == pytest.approx(2.0 - 0.5 * 1.0, rel=1e-6)


def test_gradients_of_earlier_steps_do_not_add_up() -> None:
    network, _, _ = take_steps(slope=3.0, iterations=(1, 2), gradient_clip=10.0)
    assert network.weight.item() == 2.0 - 2 * 0.5 * 3.0


def test_every_step_of_every_seed_augments_differently() -> None:
    seeds = [seed for n in range(3) for seed in take_steps(slope=1.0, iterations=(1, 2, 3), seed=n)[2]]
    assert len(set(seeds)) == 9
    assert seeds[:3] == take_steps(slope=1.0, iterations=(1, 2, 3), seed=0)[2]
