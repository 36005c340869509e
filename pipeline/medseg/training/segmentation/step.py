"""The step of a segmentation network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.networks.precision import autocast, memory_format
from medseg.training.augment import augment_batch
from medseg.training.batches import Batch
from medseg.training.segmentation.config import TrainingConfig
from medseg.training.segmentation.parts import BatchTransform
from medseg.training.step import make_step
from medseg.training.task import Step


def training_step(
    network: nn.Module,
    optimiser: Optimizer,
    loss: nn.Module,
    config: TrainingConfig,
    device: torch.device,
    *,
    spatial_dims: int,
    transform: BatchTransform | None = None,
) -> Step:
    """Build the step on augmented patches `(B, C, I, J, K)`.

    Args:
        network: Network on the device; its method `scales`, if it has one, gives the logits of all supervised scales.
        optimiser: Optimiser of its parameters.
        loss: Module of the scales' logits and the label.
        config: Augmentation, seed, number format and clipping.
        device: Device of the network.
        spatial_dims: 2 or 3.
        transform: The user's change of batches after augmentation.
    """
    layout = memory_format(spatial_dims, device)
    forward = getattr(network, "scales", None) or (lambda image: [network(image)])

    def loss_of(batch: Batch, seed: int) -> Tensor:
        image, label = augment_batch(batch["image"], batch["label"], config.augment, seed=seed)
        if transform is not None:
            image, label = transform(image, label, seed=seed)
        if spatial_dims == 2:
            image, label = image[..., 0], label[..., 0]
        with autocast(device, config.precision):
            scales = forward(image.contiguous(memory_format=layout))
        value: Tensor = loss(scales, label)
        return value

    return make_step(network, optimiser, config, device, loss_of=loss_of)
