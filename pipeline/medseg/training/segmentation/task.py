"""Train a segmentation network within a budget."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from medseg.errors import TrainingError
from medseg.evaluation.segmentation import summarise, volume_metrics
from medseg.inference.segmentation import InferenceConfig
from medseg.networks import NetworkConfig
from medseg.networks.precision import to_device
from medseg.networks.segmentation import UNet
from medseg.preprocess.segmentation import StoredCase
from medseg.records import CaseMetrics
from medseg.targets import VoxelTarget
from medseg.training.batches import Patch, batches
from medseg.training.budget import Budget
from medseg.training.engine import Step, run_task
from medseg.training.listener import TrainingListener, Validation
from medseg.training.segmentation.config import TrainingConfig
from medseg.training.segmentation.loss import loss_for
from medseg.training.segmentation.patches import PatchDataset
from medseg.training.segmentation.step import training_step
from medseg.training.segmentation.validate import validate_volumes


@dataclass(frozen=True, slots=True)
class SegmentationInputs:
    """What a training is made of.

    Attributes:
        training: Prepared cases to learn from.
        validation: Prepared cases to judge by; may be empty.
        target: Meaning of the label and of the network's channels.
        network: Shape of the network.
        config: Optimisation.
        inference: Sliding window of the validation.
        device: Where to train.
        folder: `model/` weights and the checkpoint go here.
    """

    training: Sequence[StoredCase]
    validation: Sequence[StoredCase]
    target: VoxelTarget
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


def steps_per_epoch(cases: int, config: TrainingConfig) -> int:
    """Steps in which every case has given its patches once."""
    return max(1, math.ceil(cases * config.patches_per_case / config.batch_size))


def fit(
    inputs: SegmentationInputs,
    budget: Budget,
    *,
    listeners: Sequence[TrainingListener] = (),
    on_step: Callable[[float, float], None] = lambda progress, loss: None,
    resume: bool = False,
) -> FitResult:
    """Train until the budget is spent, then validate and save; see `run_task`.

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
    done = run_task(SegmentationTask(inputs), budget, listeners=listeners, on_step=on_step, resume=resume)
    rows = list(done.last.rows) if done.last else []
    return FitResult(done.steps, done.epochs, done.seconds, rows, done.best_score)


class SegmentationTask:
    """Patches in, masks of whole volumes judged by Dice.

    Args:
        inputs: Cases and settings.
    """

    def __init__(self, inputs: SegmentationInputs) -> None:
        self.inputs = inputs
        self.optimisation = inputs.config
        self.device = inputs.device
        self.folder = inputs.folder
        self.steps_per_epoch = steps_per_epoch(len(inputs.training), inputs.config)
        self.has_validation = bool(inputs.validation)

    def build(self) -> nn.Module:
        """The UNet."""
        network = UNet(self.inputs.network)
        return to_device(network, self.device, spatial_dims=self.inputs.network.spatial_dims)

    def step(self, network: nn.Module, optimiser: Optimizer) -> Step:
        """The target's loss of augmented patches."""
        if not isinstance(network, UNet):
            raise TypeError("segmentation trains a UNet")
        config = self.inputs.config
        loss = loss_for(self.inputs.target, dice_weight=config.dice_weight)
        return training_step(network, optimiser, loss, config, self.device)

    def batches(self, first_step: int) -> Iterator[Patch]:
        """Patches out of the store."""
        dataset = PatchDataset(self.inputs.training, self.inputs.config, target=self.inputs.target)
        is_cuda = self.device.type == "cuda"
        loaders = min(8, os.cpu_count() or 1) if is_cuda else 1
        return batches(dataset, first_step=first_step, loaders=loaders, pin_memory=is_cuda)

    def validate(self, network: nn.Module) -> Validation:
        """Mean Dice of whole volumes on their native grids."""
        rows = self._validate(network, self.inputs.validation)
        summary = summarise(rows)
        return Validation(summary.means["dice"], volume_metrics(summary), rows)

    def estimate_validation_s(self, network: nn.Module) -> float:
        """Time one case."""
        start = time.monotonic()
        self._validate(network, self.inputs.validation[:1])
        return (time.monotonic() - start) * len(self.inputs.validation)

    def _validate(self, network: nn.Module, cases: Sequence[StoredCase]) -> list[CaseMetrics]:
        inputs = self.inputs
        return validate_volumes(
            network,
            cases,
            inputs.inference,
            target=inputs.target,
            device=inputs.device,
            precision=inputs.config.precision,
        )
