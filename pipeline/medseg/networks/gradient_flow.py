"""How large the gradients are that reach each convolution: what residual connections change."""

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
        weight: Of the loss's gradient with respect to the convolution's weights.
        output: Of that with respect to what the convolution gives out.
    """

    weight: float
    output: float


def gradient_norms(
    network: nn.Module, images: Tensor, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor]
) -> dict[str, GradientNorm]:
    """Gradients that one batch sends back to each convolution, in the order that the batch passes them.

    With batch normalisation the gradients of a fresh plain net grow by about 1.21 a layer from the output to the input
    (Yang et al. 2019, https://arxiv.org/abs/1902.08129), those of a residual net far slower.

    Args:
        network: In the mode to look at, usually training; left as it is, batch statistics and gradients included.
        images: Batch `(B, C, …)`.
        targets: What the loss compares the logits with.
        loss: Of logits and targets, a scalar.

    Returns:
        Norms by the convolution's name, from the input to the output; shortcuts' convolutions have `shortcut` in
        their names. A convolution that the loss does not depend on has zeros.
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
    """Note a convolution when the batch passes it, and its output's gradient when that comes back."""
    convolutions[name] = module
    out.register_hook(partial(gradients.__setitem__, name))  # type: ignore[no-untyped-call]  # torch leaves it untyped


def _norm(gradient: object) -> float:
    return float(gradient.norm()) if isinstance(gradient, Tensor) else 0.0
