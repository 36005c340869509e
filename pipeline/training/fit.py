"""Train a network within a budget."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel

from pipeline.errors import TrainingError
from pipeline.evaluation import summarise
from pipeline.inference import InferenceConfig, save_weights
from pipeline.networks import NetworkConfig, UNet
from pipeline.networks.precision import to_device
from pipeline.preprocess import StoredCase
from pipeline.records import CaseMetrics
from pipeline.training.averaging import averaged_copy
from pipeline.training.budget import Budget
from pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from pipeline.training.config import TrainingConfig
from pipeline.training.listener import TrainingListener
from pipeline.training.loss import SegmentationLoss
from pipeline.training.patches import PatchDataset, batches
from pipeline.training.schedule import learning_rate
from pipeline.training.step import training_step
from pipeline.training.validate import validate_volumes

CHECKPOINT_NAME = "checkpoint.safetensors"
_VALIDATION_SHARE = 0.08
_TAIL_S = 6.0
_SAVE_EVERY_S = 300.0


@dataclass(frozen=True, slots=True)
class FitInputs:
    """What a training is made of.

    Attributes:
        training: Prepared cases to learn from.
        validation: Prepared cases to judge by; may be empty.
        labels: All labels by name, background included.
        network: Shape of the network.
        config: Optimisation.
        inference: Sliding window of the validation.
        device: Where to train.
        folder: `model/` weights and the checkpoint go here.
    """

    training: Sequence[StoredCase]
    validation: Sequence[StoredCase]
    labels: dict[str, int]
    network: NetworkConfig
    config: TrainingConfig
    inference: InferenceConfig
    device: torch.device
    folder: Path


@dataclass(frozen=True, slots=True)
class FitResult:
    """What came of it.

    Attributes:
        steps: Steps done.
        epochs: Epochs begun.
        seconds: Of the budget, used.
        rows: Metrics of the last validation.
        best_dice: Best mean volume Dice of any validation; NaN without one.
    """

    steps: int
    epochs: int
    seconds: float
    rows: list[CaseMetrics]
    best_dice: float


@dataclass(slots=True)
class _State:
    """What changes while training."""

    network: UNet
    average: AveragedModel
    optimiser: Optimizer
    step: int = 0
    best_dice: float = float("-inf")
    last_validation: float = 0.0
    last_save: float = field(default_factory=time.monotonic)
    validation_s: float = 0.0
    rows: list[CaseMetrics] = field(default_factory=list)


def steps_per_epoch(cases: int, config: TrainingConfig) -> int:
    """Steps in which every case has given its patches once."""
    return max(1, math.ceil(cases * config.patches_per_case / config.batch_size))


def fit(
    inputs: FitInputs,
    budget: Budget,
    *,
    listeners: Sequence[TrainingListener] = (),
    on_step: Callable[[float, float], None] = lambda progress, loss: None,
    resume: bool = False,
) -> FitResult:
    """Train until the budget is spent, then validate and save.

    The delivered weights are the moving average at the end (`model/last.safetensors`); the average at the best
    validation is kept beside it (`model/best.safetensors`).

    Args:
        inputs: Cases, settings and where to.
        budget: Steps or wall clock.
        listeners: Hear of epochs and validations.
        on_step: Called after each step with the progress and, where it costs nothing to know, the loss.
        resume: Go on from the checkpoint in `inputs.folder`.

    Raises:
        TrainingError: If there is no case, no time for a step, or the loss is not finite.
        CheckpointError: If `resume` and the checkpoint does not fit.
    """
    if not inputs.training:
        raise TrainingError("training must have at least one case, got none; mend the cases that failed")
    state = _build(inputs)
    if resume:
        _restore(state, inputs)
    engine = _engine(inputs, state, budget, listeners, on_step)
    length = steps_per_epoch(len(inputs.training), inputs.config)
    engine.load_state_dict({"iteration": state.step, "epoch_length": length, "max_epochs": 2**31})
    dataset = PatchDataset(inputs.training, inputs.config, values=sorted(inputs.labels.values()))
    _reserve_time(inputs, state, budget)
    if budget.progress(state.step) < 1:
        is_cuda = inputs.device.type == "cuda"
        loaders = min(8, os.cpu_count() or 1) if is_cuda else 1
        engine.run(batches(dataset, first_step=state.step, loaders=loaders, pin_memory=is_cuda))
    if state.step == 0:
        raise TrainingError("budget must leave time for a first step, got none; give more, or a smaller plan")
    _validate(inputs, state, budget, listeners, epoch=math.ceil(state.step / length))
    _save(inputs, state, budget)
    best = state.best_dice if math.isfinite(state.best_dice) else float("nan")
    return FitResult(state.step, math.ceil(state.step / length), budget.elapsed_s(), state.rows, best)


def _build(inputs: FitInputs) -> _State:
    """Network, average and optimiser, their weights fixed by the seed."""
    config = inputs.config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = UNet(inputs.network)
    to_device(network, inputs.device, spatial_dims=inputs.network.spatial_dims)
    average = averaged_copy(network, decay=config.average_decay)
    if config.optimiser == "sgd":
        optimiser: Optimizer = SGD(
            network.parameters(), config.learning_rate, momentum=0.99, nesterov=True, weight_decay=config.weight_decay
        )
    else:
        optimiser = AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True)
    return _State(network, average, optimiser)


def _engine(
    inputs: FitInputs,
    state: _State,
    budget: Budget,
    listeners: Sequence[TrainingListener],
    on_step: Callable[[float, float], None],
) -> Engine:
    config = inputs.config
    step = training_step(state.network, state.optimiser, SegmentationLoss(config.dice_weight), config, inputs.device)
    engine = Engine(step)
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
        on_step(progress, float(losses[-1]) if inputs.device.type == "cpu" else float("nan"))
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
            _validate(inputs, state, budget, listeners, epoch=engine.state.epoch)
            state.last_validation = progress
            _save(inputs, state, budget)
        elif time.monotonic() - state.last_save > _SAVE_EVERY_S:
            _save(inputs, state, budget)
        clock["epoch"] = time.monotonic()

    engine.add_event_handler(Events.ITERATION_STARTED, set_rate)
    engine.add_event_handler(Events.ITERATION_COMPLETED, count)
    engine.add_event_handler(Events.EPOCH_COMPLETED | Events.TERMINATE, report)
    engine.add_event_handler(Events.EPOCH_COMPLETED, judge)
    return engine


def _is_due(progress: float, state: _State, budget: Budget, config: TrainingConfig) -> bool:
    """Whether the next validation has come; they take at most a small share of a wall-clock budget."""
    gap = 1 / config.validations
    remaining_s = budget.remaining_s()
    if remaining_s is not None and state.validation_s > 0:
        total_s = budget.elapsed_s() + remaining_s
        gap = max(gap, state.validation_s / (_VALIDATION_SHARE * total_s))
        if remaining_s < state.validation_s * 2:
            return False
    return progress - state.last_validation >= gap - 1e-9


def _validate(
    inputs: FitInputs, state: _State, budget: Budget, listeners: Sequence[TrainingListener], *, epoch: int
) -> None:
    """Judge the averaged weights, tell the listeners, and keep the best."""
    average = state.average.module
    if inputs.validation:
        start = time.monotonic()
        state.rows = validate_volumes(
            average,
            inputs.validation,
            inputs.inference,
            labels=inputs.labels,
            device=inputs.device,
            precision=inputs.config.precision,
        )
        state.validation_s = time.monotonic() - start
        for listener in listeners:
            listener.on_validation(epoch, state.rows)
        dice = summarise(state.rows).means["dice"]
        if dice > state.best_dice:
            state.best_dice = dice
            save_weights(average.state_dict(), inputs.folder / "model" / "best.safetensors")
    budget.keep_back(state.validation_s + _TAIL_S)


def _reserve_time(inputs: FitInputs, state: _State, budget: Budget) -> None:
    """Before the first step under a wall clock, time one case to keep back what the last validation will take."""
    if budget.remaining_s() is None:
        return
    start = time.monotonic()
    validate_volumes(
        state.average.module,
        inputs.validation[:1],
        inputs.inference,
        labels=inputs.labels,
        device=inputs.device,
        precision=inputs.config.precision,
    )
    budget.keep_back((time.monotonic() - start) * len(inputs.validation) + _TAIL_S)


def _save(inputs: FitInputs, state: _State, budget: Budget) -> None:
    """Write the delivered weights and the checkpoint."""
    save_weights(state.average.module.state_dict(), inputs.folder / "model" / "last.safetensors")
    facts: dict[str, Any] = {
        "step": state.step,
        "elapsed_s": budget.elapsed_s(),
        "best_dice": state.best_dice,
        "last_validation": state.last_validation,
    }
    save_checkpoint(
        inputs.folder / CHECKPOINT_NAME,
        network=state.network,
        average=state.average,
        optimiser=state.optimiser,
        facts=facts,
    )
    state.last_save = time.monotonic()


def _restore(state: _State, inputs: FitInputs) -> None:
    facts = load_checkpoint(
        inputs.folder / CHECKPOINT_NAME, network=state.network, average=state.average, optimiser=state.optimiser
    )
    state.step = int(facts["step"])
    state.best_dice = float(facts["best_dice"])
    state.last_validation = float(facts["last_validation"])
