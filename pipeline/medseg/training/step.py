"""One step of training, which the tasks share but for the loss of a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from ignite.engine import Engine
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.training.batches import Batch
from medseg.training.config import OptimisationConfig
from medseg.training.gradients import add_gradients
from medseg.training.task import Step

BatchLoss = Callable[[Batch, int], Tensor]
_SEED_STRIDE = 1_000_003


def make_step(
    network: nn.Module, optimiser: Optimizer, config: OptimisationConfig, device: torch.device, *, loss_of: BatchLoss
) -> Step:
    """Build the step: to the device, augment and forward (`loss_of`), backward, clip, update.

    In a distributed training every process has its share of the batch, and the loss is that of the whole batch: its
    gradients by the samples of all processes add up to the gradient of a single one.

    Args:
        network: Network on the device.
        optimiser: Optimiser of the network.
        config: Seed, and largest norm of the gradient.
        device: Device of the network.
        loss_of: Loss of a batch on the device, augmented with a seed of its own.

    Returns:
        A function of Ignite's engine and a batch that returns the loss as a tensor on the device.
    """

    def step(engine: Engine, batch: Batch) -> Tensor:
        network.train()
        moved = {key: tensor.to(device, non_blocking=True) for key, tensor in batch.items()}
        value = loss_of(moved, config.seed * _SEED_STRIDE + engine.state.iteration)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        add_gradients(network)
        nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
        optimiser.step()
        return value.detach()

    return step
