"""The step of a segmentation network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.networks.precision import autocast, memory_format
from medseg.networks.segmentation import UNet
from medseg.training.augment import augment_batch
from medseg.training.batches import Batch
from medseg.training.segmentation.config import TrainingConfig
from medseg.training.step import make_step
from medseg.training.task import Step


def training_step(
    network: UNet, optimiser: Optimizer, loss: nn.Module, config: TrainingConfig, device: torch.device
) -> Step:
    """Build the step on augmented patches `(B, C, I, J, K)`.

    Args:
        network: Network on the device.
        optimiser: Optimiser of the network.
        loss: Loss of logits per scale against the encoded label.
        config: Augmentation and optimisation.
        device: Device of the network.
    """
    layout = memory_format(network.config.spatial_dims)

    def loss_of(batch: Batch, seed: int) -> Tensor:
        image, label = augment_batch(batch["image"], batch["label"], config.augment, seed=seed)
        if network.config.spatial_dims == 2:
            image, label = image[..., 0], label[..., 0]
        with autocast(device, config.precision):
            scales = network.scales(image.contiguous(memory_format=layout))
        value: Tensor = loss(scales, label)
        return value

    return make_step(network, optimiser, config, device, loss_of=loss_of)
