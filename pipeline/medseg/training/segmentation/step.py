"""One step of training, as a plain function."""

from __future__ import annotations

import torch
from ignite.engine import Engine
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.networks.precision import autocast, memory_format
from medseg.networks.segmentation import UNet
from medseg.training.augment import augment_batch
from medseg.training.batches import Patch
from medseg.training.segmentation.config import TrainingConfig
from medseg.training.task import Step

_SEED_STRIDE = 1_000_003


def training_step(
    network: UNet, optimiser: Optimizer, loss: nn.Module, config: TrainingConfig, device: torch.device
) -> Step:
    """Build the step: to the device, augment, forward, backward, clip, update.

    Returns:
        A function of Ignite's engine and a batch `(B, C, I, J, K)` that returns the loss as a tensor on the device.
    """
    layout = memory_format(network.config.spatial_dims)

    def step(engine: Engine, batch: Patch) -> Tensor:
        network.train()
        image = batch["image"].to(device, non_blocking=True)
        label = batch["label"].to(device, non_blocking=True)
        seed = config.seed * _SEED_STRIDE + engine.state.iteration
        image, label = augment_batch(image, label, config.augment, seed=seed)
        if network.config.spatial_dims == 2:
            image, label = image[..., 0], label[..., 0]
        with autocast(device, config.precision):
            scales = network.scales(image.contiguous(memory_format=layout))
        value: Tensor = loss(scales, label)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
        optimiser.step()
        return value.detach()

    return step
