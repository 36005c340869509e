"""The size of a network: trainable parameters and multiply-adds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from medseg.networks.evaluating import evaluating


def count_parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def count_multiply_adds(network: nn.Module, input_shape: Sequence[int]) -> int:
    """Multiply-adds of one evaluation, in convolutions and matrix products.

    Norms, activations and pooling are not counted, as in the published figures. Weights on the meta device are enough.

    Args:
        network: Network, left unchanged in its mode and its statistics of batch normalisation.
        input_shape: Shape of the input with batch and channels, such as `(1, 3, 224, 224)`.
    """
    device = next(network.parameters()).device
    with evaluating(network), FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(tuple(input_shape), device=device))
    return int(counter.get_total_flops()) // 2
