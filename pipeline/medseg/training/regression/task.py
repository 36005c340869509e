"""Train a network of quantities within a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from ignite.engine import Engine
from torch import nn
from torch.optim import Optimizer

from medseg.errors import TrainingError
from medseg.evaluation.regression import QuantityMetrics, summarise_quantities, volume_quantity_metrics
from medseg.inference.segmentation import InferenceConfig
from medseg.networks.precision import to_device
from medseg.networks.segmentation import AnyNetwork, build_network
from medseg.preprocess.regression import StoredValues
from medseg.targets import Quantities
from medseg.training.batches import Batch, batches
from medseg.training.regression.config import RegressionTrainingConfig
from medseg.training.regression.loss import ValueLoss
from medseg.training.regression.patches import ValuePatches
from medseg.training.regression.validate import validate_values
from medseg.training.segmentation.loss import WholeBatchLoss
from medseg.training.segmentation.step import training_step
from medseg.training.task import CaseStep, Step, Validation

SCORE = "1 - mean absolute error as a share of what the network learns as 1, mean over cases and quantities"


@dataclass(frozen=True, slots=True)
class RegressionInputs:
    """Cases and settings of a training.

    Attributes:
        training: Prepared cases to learn from.
        validation: Prepared cases to validate on; may be empty.
        target: Quantities, with the numbers that the network learns.
        network: Shape of the network.
        config: Optimisation.
        inference: Sliding window of the validation.
        device: Device of the training.
        folder: Target folder of the weights (`model/`) and of the checkpoint.
    """

    training: Sequence[StoredValues]
    validation: Sequence[StoredValues]
    target: Quantities
    network: AnyNetwork
    config: RegressionTrainingConfig
    inference: InferenceConfig
    device: torch.device
    folder: Path


class RegressionTask:
    """Patches in, values of whole volumes out, measured by their mean absolute error.

    Args:
        inputs: Cases and settings.

    Raises:
        TrainingError: If there is no training case.
    """

    def __init__(self, inputs: RegressionInputs) -> None:
        if not inputs.training:
            raise TrainingError(
                "training must have at least one case, got none", remedy="give cases that were prepared"
            )
        self.inputs = inputs
        self.optimisation = inputs.config
        self.device = inputs.device
        self.folder = inputs.folder
        patches = len(inputs.training) * inputs.config.patches_per_case
        self.steps_per_epoch = max(1, math.ceil(patches / inputs.config.batch_size))
        self.validation_cases = inputs.validation

    def build(self) -> nn.Module:
        """The network that the plan names, with fresh weights."""
        network = build_network(self.inputs.network)
        return to_device(network, self.device, spatial_dims=self.inputs.network.spatial_dims)

    def step(self, network: nn.Module, optimiser: Optimizer) -> Step:
        """Steps on augmented patches."""
        inputs, config = self.inputs, self.inputs.config
        loss = ValueLoss(config.loss, ssim_weight=config.ssim_weight)
        return training_step(
            network,
            optimiser,
            WholeBatchLoss(loss, config.batch_size).to(self.device),
            config,
            self.device,
            spatial_dims=inputs.network.spatial_dims,
            has_values=True,
        )

    def batches(self, first_step: int, progress: Callable[[int], float]) -> Iterator[Batch]:
        """Patches from the store."""
        samples = ValuePatches(self.inputs.training, self.inputs.config, target=self.inputs.target)
        return batches(samples, first_step=first_step, device=self.device)

    def evaluation_step(self, network: nn.Module) -> CaseStep:
        """Metrics of one whole volume on its native grid."""
        inputs = self.inputs

        def measure(engine: Engine, case: StoredValues) -> list[QuantityMetrics]:
            # In single precision, since bfloat16 rounds values to some per mille.
            return validate_values(
                network, case, inputs.inference, target=inputs.target, device=inputs.device, precision="fp32"
            )[1]

        return measure

    def summarise(self, rows: Sequence[QuantityMetrics]) -> Validation:
        """Errors of whole volumes; the score is `SCORE`, at most 1."""
        values = volume_quantity_metrics(summarise_quantities(rows))
        score = score_of(rows, self.inputs.target)
        return Validation(score, values | {"volume_one_minus_relative_mae": score}, rows)


def score_of(rows: Sequence[QuantityMetrics], target: Quantities) -> float:
    """1 minus the mean relative error, as `SCORE` says; minus infinity where nothing could be measured."""
    scales = dict(zip(target.names, target.scales, strict=True))
    errors = [row.values["mae"] / scales[row.quantity] for row in rows]
    known = [error for error in errors if math.isfinite(error)]
    return 1 - fmean(known) if known else -math.inf
