"""Batch normalisation over the whole batch of a distributed training.

PyTorch's own `SyncBatchNorm` does the same on GPUs alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from medseg.networks.precision import widened
from medseg.training.ranks import is_alone, summed


def with_whole_batch_norms(network: nn.Module) -> nn.Module:
    """The network, whose batch normalisations see the samples of all processes; weights and names stay.

    In a single process it is returned as it is.
    """
    if is_alone():
        return network
    if isinstance(network, _BatchNorm) and not isinstance(network, nn.SyncBatchNorm):
        return _WholeBatchNorm.of(network)
    for name, child in network.named_children():
        setattr(network, name, with_whole_batch_norms(child))
    return network


class _WholeBatchNorm(_BatchNorm):
    """Batch normalisation whose mean and variance are those of all processes' samples."""

    @classmethod
    def of(cls, norm: _BatchNorm) -> _WholeBatchNorm:
        """One with the weights, statistics and settings of another."""
        whole = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        whole._parameters, whole._buffers = norm._parameters, norm._buffers
        return whole.train(norm.training)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 (PyTorch's name)
        """Any number of axes."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every channel of `(B, C, …)`."""
        if not self.training:
            return super().forward(x)
        axes = (0, *range(2, x.ndim))
        shape = (1, -1, *[1] * (x.ndim - 2))
        values = widened(x)
        count = float(summed(torch.tensor(values.numel() // values.shape[1])))
        mean = _summed(values.sum(axes)) / count
        centred = values - mean.view(shape)
        variance = _summed(centred.square().sum(axes)) / count
        self._follow(mean.detach(), variance.detach() * count / max(count - 1, 1))
        normalised = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normalised = normalised * self.weight.view(shape) + self.bias.view(shape)
        return normalised.to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of a batch."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def _summed(value: Tensor) -> Tensor:
    total: Tensor = _Summed.apply(value)  # type: ignore[no-untyped-call]
    return total


class _Summed(torch.autograd.Function):
    """Sum over all processes, each of which has its part of the gradient by it."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        """Add up."""
        return summed(value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Add the parts of the gradient up."""
        return summed(gradient)
