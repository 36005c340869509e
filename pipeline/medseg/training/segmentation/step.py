"""One step of training, as a plain function."""

from __future__ import annotations

import torch
from ignite.engine import Engine
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.networks.precision import autocast, memory_format
from medseg.training.augment import augment_batch
from medseg.training.batches import Patch
from medseg.training.segmentation.config import TrainingConfig
from medseg.training.segmentation.parts import BatchTransform
from medseg.training.task import Step

_SEED_STRIDE = 1_000_003


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
    """Build the step: to the device, augment, forward, backward, clip, update.

    Args:
        network: Network on the device; its method `scales`, if it has one, gives the logits of all supervised scales.
        optimiser: Optimiser of its parameters.
        loss: Module of the scales' logits and the label.
        config: Augmentation, seed, number format and clipping.
        device: Device where the step runs.
        spatial_dims: 2 or 3.
        transform: The user's change of batches after augmentation.

    Returns:
        A function of Ignite's engine and a batch `(B, C, I, J, K)` that returns the loss as a tensor on the device.
    """
    layout = memory_format(spatial_dims)
    forward = getattr(network, "scales", None) or (lambda image: [network(image)])

    def step(engine: Engine, batch: Patch) -> Tensor:
        network.train()
        image = batch["image"].to(device, non_blocking=True)
        label = batch["label"].to(device, non_blocking=True)
        seed = config.seed * _SEED_STRIDE + engine.state.iteration
        image, label = augment_batch(image, label, config.augment, seed=seed)
        if transform is not None:
            image, label = transform(image, label, seed=seed)
        if spatial_dims == 2:
            image, label = image[..., 0], label[..., 0]
        with autocast(device, config.precision):
            scales = forward(image.contiguous(memory_format=layout))
        value: Tensor = loss(scales, label)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
        optimiser.step()
        return value.detach()

    return step
