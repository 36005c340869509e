"""A training of one weight on integers, which takes milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine
from medseg.training.config import OptimisationConfig
from medseg.training.task import CaseStep, Step, Validation
from torch import Tensor, nn
from torch.optim import Optimizer


class Weight(nn.Module):
    """One weight, and the running mean of what it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1))
        self.register_buffer("mean", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.get_buffer("mean").lerp_(x, 0.1)
        return self.weight * x


def nothing(*args: Any) -> None:
    """In the place of what a test lets fail."""


class ToyTask:
    """Learn the weight that turns 1, 2 and 3 into 1; batch n is the integer n.

    Args:
        folder: Target folder.
        validation: Validation cases.
        before_forward: Called with the number of every batch before the step uses it.
        before_backward: The same, between forward and backward.
        scale: Factor of the loss of batch n.
        score: Score of a validation's rows; by default minus the mean error.
        on_case: Called with every validation case.
        settings: Of the optimisation.
    """

    def __init__(
        self,
        folder: Path,
        *,
        validation: Sequence[int] = (1, 2, 3),
        before_forward: Callable[[int], None] = nothing,
        before_backward: Callable[[int], None] = nothing,
        scale: Callable[[int], float] = lambda batch: 1.0,
        score: Callable[[Sequence[float]], float] = lambda errors: -sum(errors) / len(errors),
        on_case: Callable[[int], None] = nothing,
        steps_per_epoch: int = 3,
        **settings: Any,
    ) -> None:
        self.optimisation = OptimisationConfig(**{"learning_rate": 0.1, "validations": 2, **settings})
        self.device = torch.device("cpu")
        self.folder = folder
        self.steps_per_epoch = steps_per_epoch
        self.validation_cases = validation
        self.before_forward = before_forward
        self.before_backward = before_backward
        self.scale = scale
        self.score = score
        self.on_case = on_case

    def build(self) -> nn.Module:
        return Weight()

    def step(self, network: nn.Module, optimiser: Optimizer) -> Step:
        def step(engine: Engine, batch: int) -> Tensor:
            network.train()
            self.before_forward(batch)
            loss = self.scale(batch) * toy_loss(network, batch)
            self.before_backward(batch)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            return loss.detach()

        return step

    def batches(self, first_step: int, progress: Callable[[int], float]) -> Iterator[int]:
        return count(first_step)

    def evaluation_step(self, network: nn.Module) -> CaseStep:
        @torch.no_grad()
        def measure(engine: Engine, case: int) -> list[float]:
            network.eval()
            self.on_case(case)
            return [abs(float(network(torch.tensor([float(case)]))) - 1)]

        return measure

    def summarise(self, rows: Sequence[float]) -> Validation:
        return Validation(self.score(rows), {"error": sum(rows) / len(rows)}, rows)


def toy_loss(network: nn.Module, batch: int) -> Tensor:
    """Squared error of the batch's number, which is 1, 2 or 3."""
    value: Tensor = (network(torch.tensor([1.0 + batch % 3])) - 1).pow(2).sum()
    return value
