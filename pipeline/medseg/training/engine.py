"""One engine for every training: budget, schedule, averaging, checkpoints and validations round a task's own steps."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel

from medseg.errors import TrainingError
from medseg.networks.weights import save_weights
from medseg.training.averaging import averaged_copy
from medseg.training.budget import Budget
from medseg.training.checkpoint import load_checkpoint, save_checkpoint
from medseg.training.config import OptimisationConfig
from medseg.training.listener import TrainingListener, Validation
from medseg.training.schedule import learning_rate

CHECKPOINT_NAME = "checkpoint.safetensors"
_VALIDATION_SHARE = 0.08
_TAIL_S = 6.0
_SAVE_EVERY_S = 300.0

Step = Callable[[Engine, Any], Tensor]


class Task(Protocol):
    """What is trained: segmentation, slice classification.

    Attributes:
        optimisation: Rate, length, averaging, seed.
        device: Where.
        folder: `model/` weights and the checkpoint go here.
        steps_per_epoch: Steps in which every sample has come once.
        has_validation: Whether there is anything to judge by.
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
    def has_validation(self) -> bool: ...  # noqa: D102

    def build(self) -> nn.Module:
        """The network on its device, with fresh weights from torch's seed."""

    def step(self, network: nn.Module, optimiser: Optimizer) -> Step:
        """A function of Ignite's engine and a batch that returns the loss as a tensor on the device."""

    def batches(self, first_step: int) -> Iterator[Any]:
        """Endless batches from a step on."""

    def validate(self, network: nn.Module) -> Validation:
        """Measure the network on all validation cases."""

    def estimate_validation_s(self, network: nn.Module) -> float:
        """Seconds that `judge` will take, from a small part of it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a training.

    Attributes:
        steps: Steps done.
        epochs: Epochs begun.
        seconds: Of the budget, used.
        last: The last validation; None without one.
        best_score: Best score of any validation; NaN without one.
    """

    steps: int
    epochs: int
    seconds: float
    last: Validation | None
    best_score: float


@dataclass(slots=True)
class _State:
    """What changes while training."""

    network: nn.Module
    average: AveragedModel
    optimiser: Optimizer
    step: int = 0
    best_score: float = float("-inf")
    last_validation: float = 0.0
    last_save: float = field(default_factory=time.monotonic)
    validation_s: float = 0.0
    last: Validation | None = None


def run_task(
    task: Task,
    budget: Budget,
    *,
    listeners: Sequence[TrainingListener] = (),
    on_step: Callable[[float, float], None] = lambda progress, loss: None,
    resume: bool = False,
) -> Outcome:
    """Train until the budget is spent, then validate and save.

    The delivered weights are the moving average at the end (`model/last.safetensors`); the average at the best
    validation is kept beside it (`model/best.safetensors`).

    Args:
        task: What to train.
        budget: Steps or wall clock.
        listeners: Hear of epochs and validations.
        on_step: Called after each step with the progress and, where it costs nothing to know, the loss.
        resume: Go on from the checkpoint in `task.folder`.

    Raises:
        TrainingError: If there is no time for a step, or the loss is not finite.
        CheckpointError: If `resume` and the checkpoint does not fit.
    """
    logging.getLogger("ignite").setLevel(logging.CRITICAL)  # what it says of an error is raised all the same
    state = _build(task)
    if resume:
        _restore(state, task)
    engine = _engine(task, state, budget, listeners, on_step)
    length = task.steps_per_epoch
    engine.load_state_dict({"iteration": state.step, "epoch_length": length, "max_epochs": 2**31})
    if budget.remaining_s() is not None:
        budget.keep_back(task.estimate_validation_s(state.average.module) + _TAIL_S)
    if budget.progress(state.step) < 1:
        engine.run(task.batches(state.step))
    if state.step == 0:
        raise TrainingError("budget must leave time for a first step, got none; give more, or a smaller plan")
    _validate(task, state, budget, listeners, epoch=math.ceil(state.step / length))
    _save(task, state, budget)
    best = state.best_score if math.isfinite(state.best_score) else float("nan")
    return Outcome(state.step, math.ceil(state.step / length), budget.elapsed_s(), state.last, best)


def _build(task: Task) -> _State:
    """Network, average and optimiser, their weights fixed by the seed."""
    config = task.optimisation
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = task.build()
    average = averaged_copy(network, decay=config.average_decay)
    if config.optimiser == "sgd":
        optimiser: Optimizer = SGD(
            network.parameters(), config.learning_rate, momentum=0.99, nesterov=True, weight_decay=config.weight_decay
        )
    else:
        optimiser = AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True)
    return _State(network, average, optimiser)


def _engine(
    task: Task,
    state: _State,
    budget: Budget,
    listeners: Sequence[TrainingListener],
    on_step: Callable[[float, float], None],
) -> Engine:
    config = task.optimisation
    engine = Engine(task.step(state.network, state.optimiser))
    losses: list[Tensor] = []
    clock = {"epoch": time.monotonic()}

    def set_rate() -> None:
        rate = learning_rate(budget.progress(state.step), config)
        for group in state.optimiser.param_groups:
            group["lr"] = rate

    def count() -> None:
        state.average.update_parameters(state.network)
        state.step += 1
        losses.append(engine.state.output)
        progress = budget.progress(state.step)
        on_step(progress, float(losses[-1]) if task.device.type == "cpu" else float("nan"))
        if progress >= 1:
            engine.terminate()

    def report() -> None:
        if not losses:
            return
        now = time.monotonic()
        loss = float(torch.stack(losses).mean())
        losses.clear()
        if not math.isfinite(loss):
            raise TrainingError(
                f"training loss must be finite, got {loss} in epoch {engine.state.epoch}; lower "
                "learning_rate in the plan"
            )
        values = {
            "train_loss": loss,
            "learning_rate": state.optimiser.param_groups[0]["lr"],
            "epoch_seconds": now - clock["epoch"],
            "elapsed_seconds": budget.elapsed_s(),
        }
        for listener in listeners:
            listener.on_epoch(engine.state.epoch, values)

    def judge() -> None:
        progress = budget.progress(state.step)
        if progress < 1 and _is_due(progress, state, budget, config):
            _validate(task, state, budget, listeners, epoch=engine.state.epoch)
            state.last_validation = progress
            _save(task, state, budget)
        elif time.monotonic() - state.last_save > _SAVE_EVERY_S:
            _save(task, state, budget)
        clock["epoch"] = time.monotonic()

    engine.add_event_handler(Events.ITERATION_STARTED, set_rate)
    engine.add_event_handler(Events.ITERATION_COMPLETED, count)
    engine.add_event_handler(Events.EPOCH_COMPLETED | Events.TERMINATE, report)
    engine.add_event_handler(Events.EPOCH_COMPLETED, judge)
    return engine


def _is_due(progress: float, state: _State, budget: Budget, config: OptimisationConfig) -> bool:
    """Whether the next validation has come; they take at most a small share of a wall-clock budget."""
    gap = 1 / config.validations
    remaining_s = budget.remaining_s()
    if remaining_s is not None and state.validation_s > 0:
        total_s = budget.elapsed_s() + remaining_s
        gap = max(gap, state.validation_s / (_VALIDATION_SHARE * total_s))
        if remaining_s < state.validation_s * 2:
            return False
    return progress - state.last_validation >= gap - 1e-9


def _validate(task: Task, state: _State, budget: Budget, listeners: Sequence[TrainingListener], *, epoch: int) -> None:
    """Judge the averaged weights, tell the listeners, and keep the best."""
    average = state.average.module
    if task.has_validation:
        start = time.monotonic()
        state.last = task.validate(average)
        state.validation_s = time.monotonic() - start
        for listener in listeners:
            listener.on_validation(epoch, state.last)
        best = task.folder / "model" / "best.safetensors"
        if state.last.score > state.best_score or not best.exists():
            state.best_score = state.last.score
            save_weights(average.state_dict(), best)
    budget.keep_back(state.validation_s + _TAIL_S)


def _save(task: Task, state: _State, budget: Budget) -> None:
    """Write the delivered weights and the checkpoint."""
    save_weights(state.average.module.state_dict(), task.folder / "model" / "last.safetensors")
    facts: dict[str, Any] = {
        "step": state.step,
        "elapsed_s": budget.elapsed_s(),
        "best_score": state.best_score,
        "last_validation": state.last_validation,
    }
    save_checkpoint(
        task.folder / CHECKPOINT_NAME,
        network=state.network,
        average=state.average,
        optimiser=state.optimiser,
        facts=facts,
    )
    state.last_save = time.monotonic()


def _restore(state: _State, task: Task) -> None:
    facts = load_checkpoint(
        task.folder / CHECKPOINT_NAME, network=state.network, average=state.average, optimiser=state.optimiser
    )
    state.step = int(facts["step"])
    state.best_score = float(facts["best_score"])
    state.last_validation = float(facts["last_validation"])
