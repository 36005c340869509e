"""A loss over all supervised scales."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional


def over_scales(loss: Callable[[Tensor, Tensor], Tensor], scales: Sequence[Tensor], label: Tensor) -> Tensor:
    """Mean of a loss over scales, each coarser one with half the weight of the one before.

    Args:
        loss: Loss of logits and of the label at their size.
        scales: Logits of each scale, finest first.
        label: Label at the finest size, from which those of the others are taken voxel by voxel.
    """
    weights = [0.5**n for n in range(len(scales))]
    total = torch.zeros((), device=label.device)
    for weight, logits in zip(weights, scales, strict=True):
        target = label
        if logits.shape[2:] != label.shape[2:]:
            target = functional.interpolate(label.float(), size=logits.shape[2:], mode="nearest-exact")
        total = total + weight * loss(logits, target)
    return total / sum(weights)
