"""How much arithmetic a network does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_multiply_adds(network: nn.Module, input_shape: Sequence[int]) -> int:
    """Multiply-adds of one evaluation, in convolutions and matrix products.

    Norms, activations and pooling are not counted, as in the published figures. Weights on the meta device are enough.

    Args:
        network: Left in its mode; one with batch normalisation keeps its statistics.
        input_shape: Batch and channels included, such as `(1, 3, 224, 224)`.
    """
    device = next(network.parameters()).device
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(tuple(input_shape), device=device))
    finally:
        for module in training:
            module.training = True
    return int(counter.get_total_flops()) // 2
