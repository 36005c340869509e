"""The gradient of a whole batch, out of those of the processes' shares."""

from __future__ import annotations

import torch
from torch import nn

from medseg.training.ranks import is_alone, summed


def add_gradients(network: nn.Module) -> None:
    """Add the gradients of all processes up, so that each has the same; a single process keeps its own.

    All numbers go in one message. A parameter that a process has no gradient of counts as 0 there; it stays without one
    where no process has any, so that the optimiser passes it over as in a single process.
    """
    if is_alone():
        return
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    holders = summed(torch.tensor([float(one.grad is not None) for one in parameters]))
    used = [one for one, count in zip(parameters, holders.tolist(), strict=True) if count]
    for one in used:
        one.grad = torch.zeros_like(one) if one.grad is None else one.grad
    gradients = [one.grad for one in used if one.grad is not None]
    total = summed(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    parts = torch.split(total, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))
