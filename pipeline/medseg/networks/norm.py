"""Normalisation layers by name."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.networks.config import NormKind
from medseg.networks.layers import BATCH_NORM


def build_norm(kind: NormKind, *, spatial_dims: int, channels: int) -> nn.Module:
    """A normalisation layer with learned scale and shift, or an identity for `none`."""
    if kind == "none":
        return nn.Identity()
    if kind == "instance":
        return InstanceNorm(channels)
    return nn.GroupNorm(math.gcd(8, channels), channels) if kind == "group" else BATCH_NORM[spatial_dims](channels)


class InstanceNorm(nn.Module):
    """Instance normalisation that keeps the channels-last layout on the CPU.

    PyTorch's own folds the batch into the channels, which copies a channels-last tensor back and forth; batch
    normalisation of one sample at a time is the same arithmetic without the copies.

    Args:
        channels: Feature channels.

    Source: Ulyanov et al. 2016, https://arxiv.org/abs/1607.08022.
    """

    eps = 1e-5

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every channel of every sample; x of shape `(B, C, …)`."""
        if x.device.type == "cpu" and not x.is_contiguous():
            samples = [
                functional.batch_norm(sample, None, None, self.weight, self.bias, training=True, eps=self.eps)
                for sample in torch.split(x, 1)
            ]
            return samples[0] if len(samples) == 1 else torch.cat(samples)
        return functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
