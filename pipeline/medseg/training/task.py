"""A task: the parts of a training that differ between segmentation, classification and others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from ignite.engine import Engine
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.training.config import OptimisationConfig
from medseg.training.forecast import Forecast

Step = Callable[[Engine, Any], Tensor]
CaseStep = Callable[[Engine, Any], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Validation:
    """One validation.

    Attributes:
        score: Number that decides which weights are best; higher is better.
        values: Numbers by name, for tracking.
        rows: Records of the task, one per case and label, or one per case.
        forecast: How the training is expected to go on; None as long as nothing can be said.
    """

    score: float
    values: dict[str, float]
    rows: Sequence[Any]
    forecast: Forecast | None = None


class Task(Protocol):
    """Segmentation, slice classification, or a task of the user's own.

    Attributes:
        optimisation: Rate, length, averaging, seed.
        device: Device of the network.
        folder: Target folder of the weights (`model/`) and of the checkpoint.
        steps_per_epoch: Steps in which every sample is shown once.
        validation_cases: Cases of the validation; none skips it.
    """

    @property
    def optimisation(self) -> OptimisationConfig: ...  # noqa: D102 (in the class docstring, as below)
    @property
    def device(self) -> torch.device: ...  # noqa: D102
    @property
    def folder(self) -> Path: ...  # noqa: D102
    @property
    def steps_per_epoch(self) -> int: ...  # noqa: D102
    @property
    def validation_cases(self) -> Sequence[Any]: ...  # noqa: D102

    def build(self) -> nn.Module:
        """The network on its device, with fresh weights from torch's seed."""

    def step(self, network: nn.Module, optimiser: Optimizer) -> Step:
        """Process function of the trainer, which maps its engine and a batch to the loss, a tensor on the device."""

    def batches(self, first_step: int, progress: Callable[[int], float]) -> Iterator[Any]:
        """Endless batches from a step on.

        Args:
            first_step: Number of the first batch.
            progress: Function that gives the share of the budget that is used before a step; where time counts, now.
        """

    def evaluation_step(self, network: nn.Module) -> CaseStep:
        """Process function of the evaluator, which maps its engine and a validation case to the case's rows."""

    def summarise(self, rows: Sequence[Any]) -> Validation:
        """The validation, from the rows of all its cases."""


@runtime_checkable
class KeepsCases(Protocol):
    """A task that keeps more of a validated case than its rows, masks say; the first process is handed all of it."""

    def kept(self) -> Any:
        """What this process keeps of the cases that it has validated."""

    def keep_others(self, others: Sequence[Any]) -> None:
        """Add what other processes keep of theirs."""
