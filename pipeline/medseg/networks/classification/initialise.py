"""Initial weights."""

from __future__ import annotations

from torch import nn


def he_initialise(network: nn.Module) -> None:
    """Draw the weights of convolutions and linear layers so that rectified signals keep their size; biases are zero.

    Convolutions keep the size of gradients (fan out), hidden linear layers that of activations (fan in).

    Source: He et al. 2015, https://arxiv.org/abs/1502.01852, eq. 10 and 14.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
