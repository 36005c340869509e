"""How many numbers a network learns."""

from __future__ import annotations

from torch import nn


def count_parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
