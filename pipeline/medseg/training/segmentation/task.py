"""Train a segmentation network within a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from ignite.engine import Engine
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.errors import TrainingError
from medseg.evaluation.segmentation import summarise, volume_metrics
from medseg.inference.segmentation import InferenceConfig
from medseg.inference.segmentation.quality import ConfidenceMeter
from medseg.networks.precision import to_device
from medseg.networks.segmentation import AnyNetwork
from medseg.preprocess.segmentation import StoredCase
from medseg.records import CaseMetrics
from medseg.targets import VoxelTarget
from medseg.training.batches import Phased, phased_batches
from medseg.training.ranks import of_first_rank
from medseg.training.segmentation.config import TrainingConfig
from medseg.training.segmentation.initialisation import Initialisation
from medseg.training.segmentation.kept_masks import KeptMasks
from medseg.training.segmentation.kept_scans import KeptScans
from medseg.training.segmentation.loss import SegmentationLoss, WholeBatchLoss, loss_for
from medseg.training.segmentation.marginal_loss import open_groups
from medseg.training.segmentation.parts import SegmentationParts
from medseg.training.segmentation.patches import PatchDataset
from medseg.training.segmentation.replay import Replay
from medseg.training.segmentation.step import training_step
from medseg.training.segmentation.validate import validate_volume
from medseg.training.task import CaseStep, Step, Validation


@dataclass(frozen=True, slots=True)
class SegmentationInputs:
    """Cases and settings of a training.

    Attributes:
        training: Prepared cases to learn from.
        validation: Prepared cases to validate on; may be empty.
        target: Meaning of the label and of the network's channels.
        network: Shape of the network.
        config: Optimisation.
        inference: Sliding window of the validation.
        device: Device of the training.
        folder: Target folder of the weights (`model/`) and of the checkpoint.
        parts: The user's own parts.
        initialisation: Weights of an earlier run that the network begins with, if there are any.
        replay: Which training cases are new to those weights, and how often they are drawn; None for all alike.
        is_compiled: Whether the network's forward pass is compiled before the first step (`torch.compile`).
    """

    training: Sequence[StoredCase]
    validation: Sequence[StoredCase]
    target: VoxelTarget
    network: AnyNetwork
    config: TrainingConfig
    inference: InferenceConfig
    device: torch.device
    folder: Path
    parts: SegmentationParts = field(default_factory=SegmentationParts)
    initialisation: Initialisation | None = None
    replay: Replay | None = None
    is_compiled: bool = False


def steps_per_epoch(cases: int, config: TrainingConfig) -> int:
    """Steps in which every case gives its patches once, and every rare label its additional ones."""
    return max(1, math.ceil(config.patches_per_epoch(cases) / config.batch_size))


class SegmentationTask:
    """Patches in, masks of whole volumes out, measured by Dice.

    Attributes:
        masks: Masks of the last validation of each case, on its native grid.
        soft_dice: Soft Dice of each drawn structure at the last validation of each case.

    Args:
        inputs: Cases and settings.

    Raises:
        TrainingError: If there is no training case.
    """

    def __init__(self, inputs: SegmentationInputs) -> None:
        if not inputs.training:
            raise TrainingError(
                "training must have at least one case, got none", remedy="give cases that were prepared"
            )
        self.inputs = inputs
        self.optimisation = inputs.config
        self.device = inputs.device
        self.folder = inputs.folder
        self.steps_per_epoch = steps_per_epoch(len(inputs.training), inputs.config)
        self.validation_cases = inputs.validation
        self.masks = KeptMasks()
        self.soft_dice: dict[str, dict[str, float]] = {}

    def build(self) -> nn.Module:
        """The network that the plan names, or the user's own, with fresh weights or those of an earlier run."""
        network = self.inputs.parts.build(self.inputs.network)
        if self.inputs.initialisation is not None:
            self.inputs.initialisation(network)
        return to_device(network, self.device, spatial_dims=self.inputs.network.spatial_dims)

    def step(self, network: nn.Module, optimiser: Optimizer) -> Step:
        """Steps on augmented patches of either phase, with the loss of the target or the user's own."""
        inputs = self.inputs
        build_loss = inputs.parts.loss
        groups = open_groups(inputs.training, inputs.target)
        loss = (
            build_loss(inputs.config)
            if build_loss
            else loss_for(inputs.target, dice_weight=inputs.config.dice_weight, groups=groups)
        )
        pools_itself = isinstance(loss, SegmentationLoss)  # over the processes of a training
        steps = [
            training_step(
                network,
                optimiser,
                (loss if pools_itself else WholeBatchLoss(loss, config.batch_size)).to(self.device),
                config,
                self.device,
                spatial_dims=inputs.network.spatial_dims,
                transform=inputs.parts.transform,
                compiled_channels=inputs.network.in_channels if inputs.is_compiled else None,
            )
            for config in self.phases
        ]

        def step(engine: Engine, phased: Phased) -> Tensor:
            return steps[phased.phase](engine, phased.batch)

        return step

    def batches(self, first_step: int, progress: Callable[[int], float]) -> Iterator[Phased]:
        """Patches from the store, coarse ones first where the settings say so."""
        start = self.inputs.config.coarse_start
        factors = [start.factor, (1, 1, 1)] if start else [(1, 1, 1)]
        kept = KeptScans() if self.device.type == "cuda" else None
        samples = [self.samples(config, factor, kept) for config, factor in zip(self.phases, factors, strict=True)]

        def phase_at(step: int) -> int:
            return int(start is not None and of_first_rank(progress(step)) >= start.share)

        return phased_batches(samples, phase_at, first_step=first_step, device=self.device)

    def samples(self, config: TrainingConfig, factor: Sequence[int], kept: KeptScans | None) -> PatchDataset:
        """Patches of one phase.

        Args:
            config: Settings of the phase.
            factor: Voxels of the grid that make one of a patch along each axis.
            kept: Scans that are held in memory; None to read every patch from the store.
        """
        inputs = self.inputs
        return PatchDataset(
            inputs.training, config, target=inputs.target, factor=factor, kept=kept, replay=inputs.replay
        )

    @property
    def phases(self) -> list[TrainingConfig]:
        """Settings of the coarse start, if there is one, and of the rest."""
        config = self.inputs.config
        return [config.coarse, config] if config.coarse_start else [config]

    def evaluation_step(self, network: nn.Module) -> CaseStep:
        """Metrics of one whole volume on its native grid."""
        inputs = self.inputs

        def measure(engine: Engine, case: StoredCase) -> list[CaseMetrics]:
            meter = ConfidenceMeter(inputs.target)
            mask, rows = validate_volume(
                network,
                case,
                inputs.inference,
                target=inputs.target,
                device=inputs.device,
                precision=inputs.config.precision,
                metrics=inputs.parts.metrics,
                observe=meter.observe,
            )
            self.soft_dice[case.case_id] = meter.soft_dice()
            self.masks.keep(case.case_id, mask)
            return rows

        return measure

    def kept(self) -> tuple[KeptMasks, dict[str, dict[str, float]]]:
        """Masks and soft Dice of the cases that this process has validated."""
        return self.masks, self.soft_dice

    def keep_others(self, others: Sequence[tuple[KeptMasks, dict[str, dict[str, float]]]]) -> None:
        """Add those of other processes."""
        for masks, soft_dice in others:
            self.masks.add(masks)
            self.soft_dice |= soft_dice

    def summarise(self, rows: Sequence[CaseMetrics]) -> Validation:
        """Mean Dice of whole volumes."""
        summary = summarise(rows)
        return Validation(summary.means["dice"], volume_metrics(summary), rows)
