"""The size of the gradients that reach each convolution, which residual connections change."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd


class GradientNorm(NamedTuple):
    """Euclidean norms at one convolution.

    Attributes:
        weight: Norm of the loss's gradient with respect to the convolution's weights.
        output: Norm of the loss's gradient with respect to the convolution's output.
    """

    weight: float
    output: float


def gradient_norms(
    network: nn.Module, images: Tensor, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor]
) -> dict[str, GradientNorm]:
    """Gradients of one batch at each convolution, in the order in which the batch passes them.

    With batch normalisation the gradients of a fresh plain net grow by about 1.21 a layer from the output to the input
    (Yang et al. 2019, https://arxiv.org/abs/1902.08129), those of a residual net far more slowly.

    Args:
        network: Network in the mode to examine, usually training; left unchanged with batch statistics and gradients.
        images: Batch `(B, C, …)`.
        targets: Targets of the batch, as the loss takes them.
        loss: Function from logits and targets to a scalar.

    Returns:
        Norms by the convolution's name, from the input to the output; convolutions of shortcuts have `shortcut` in
        their names. A convolution that does not affect the loss has zeros.
    """
    subject = copy.deepcopy(network).requires_grad_(True)
    subject.zero_grad()
    convolutions: dict[str, nn.Module] = {}
    outputs: dict[str, Tensor] = {}
    for name, module in subject.named_modules():
        if isinstance(module, _ConvNd):
            module.register_forward_hook(partial(_record, name, convolutions, outputs))
    with torch.enable_grad():
        loss(subject(images), targets).backward()  # type: ignore[no-untyped-call]  # as below
    return {
        name: GradientNorm(_norm(module.weight.grad), _norm(outputs.get(name))) for name, module in convolutions.items()
    }


def _record(
    name: str,
    convolutions: dict[str, nn.Module],
    gradients: dict[str, Tensor],
    module: nn.Module,
    _: object,
    out: Tensor,
) -> None:
    """Record a convolution in the forward pass, and the gradient of its output in the backward pass."""
    convolutions[name] = module
    out.register_hook(partial(gradients.__setitem__, name))  # type: ignore[no-untyped-call]  # torch leaves it untyped


def _norm(gradient: object) -> float:
    return float(gradient.norm()) if isinstance(gradient, Tensor) else 0.0
