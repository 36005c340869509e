"""Copies of a network with a gradient that shows what a unit sees."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import activation, batchnorm, instancenorm, normalization
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import _MaxPoolNd

from medseg.networks.classification.build import SliceClassifier
from medseg.networks.lens.layer_windows import WHOLE_IMAGE_NORMS, is_global_pooling

_AVERAGES = {nn.MaxPool1d: nn.AvgPool1d, nn.MaxPool2d: nn.AvgPool2d, nn.MaxPool3d: nn.AvgPool3d}
_HOMES = (*(module.__name__ for module in (activation, batchnorm, instancenorm, normalization)),
          "monai.networks.blocks.activation", "medseg.networks.norm")  # fmt: skip


def convolutional_part(network: nn.Module) -> nn.Module:
    """The part that returns a feature map: a classifier's body, or the whole of any other network."""
    return network.body if isinstance(network, SliceClassifier) else network


def with_fixed_statistics(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode with norms that compute as before, but pass no gradient through mean and deviation.

    Batch norms use their running statistics, as in inference. Instance and group norms take the statistics of the
    picture itself, which connect every voxel to every other: here they are constants, so that only the field of the
    convolutions is left.
    """
    return _replaced(copy.deepcopy(network).eval(), _fixed)


def with_positive_weights(network: nn.Module) -> nn.Module:
    """A copy with an output that depends on an input voxel exactly if a path leads from one to the other.

    Every weight of a convolution is the same positive number, so that nothing cancels; biases, norms and activations
    are left out, maxima become means, squeeze and excitation has no effect, and numbers are in double precision, so
    that nothing vanishes.
    """
    subject = _replaced(copy.deepcopy(network).double().eval(), _linear)
    with torch.no_grad():
        for module in subject.modules():
            if isinstance(module, _ConvNd):
                module.weight.fill_(1 / math.prod(module.weight.shape[1:]))
                if module.bias is not None:
                    module.bias.zero_()
    return subject


def _replaced(network: nn.Module, replacement: Callable[[nn.Module], nn.Module | None]) -> nn.Module:
    """The network with some of its modules replaced in place."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            other = replacement(child)
            if other is not None:
                parent.register_module(name, other)
    return network


def _fixed(module: nn.Module) -> nn.Module | None:
    return _FixedStatistics(module) if isinstance(module, WHOLE_IMAGE_NORMS) else None


def _linear(module: nn.Module) -> nn.Module | None:
    if isinstance(module, _MaxPoolNd):
        average: nn.Module = _AVERAGES[type(module)](
            module.kernel_size, module.stride, module.padding, ceil_mode=module.ceil_mode
        )
        return average
    if is_global_pooling(module):
        return _Detached()
    if type(module).__module__ in _HOMES:
        return nn.Identity()
    return None


class _Detached(nn.Module):
    """The mean of a feature map, as a constant."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=tuple(range(2, x.ndim)), keepdim=True).detach()


class _FixedStatistics(nn.Module):
    """A norm with the mean and deviation of this input as constants."""

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.groups = norm.num_groups if isinstance(norm, nn.GroupNorm) else None

    def forward(self, x: Tensor) -> Tensor:
        grouped = x.reshape(x.shape[0], self.groups or x.shape[1], -1)  # (B, groups, channels of a group · voxels)
        variance, mean = torch.var_mean(grouped.detach(), dim=2, correction=0, keepdim=True)
        normal: Tensor = ((grouped - mean) / (variance + self.eps).sqrt()).reshape(x.shape)
        if self.weight is None or self.bias is None:
            return normal
        shape = (-1, *(1,) * (x.ndim - 2))
        return normal * self.weight.view(shape) + self.bias.view(shape)
