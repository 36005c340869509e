"""Dice and binary cross-entropy of overlapping structures."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_SMOOTH = 1e-5


def region_loss(logits: Tensor, label: Tensor, dice_weight: float) -> Tensor:
    """Binary cross-entropy plus weighted 1 − Dice, mean over the structures, voxels pooled over the batch.

    Args:
        logits: Shape `(B, structures, …)`, any floating type.
        label: 1 inside a structure, 0 outside, negative where a voxel does not count, of the same shape.
        dice_weight: Weight of the Dice part.

    Returns:
        The loss, a float32 scalar; 0 with the gradient 0 where no voxel counts.
    """
    logits, counted = logits.float(), (label >= 0).float()
    inside = (label > 0).float()
    entropy = functional.binary_cross_entropy_with_logits(logits, inside, weight=counted, reduction="sum")
    drawn = logits.sigmoid() * counted
    axes = (0, *range(2, logits.ndim))
    overlap, total = (drawn * inside).sum(axes), drawn.sum(axes) + inside.sum(axes)
    dice = (2 * overlap + _SMOOTH) / (total + _SMOOTH)
    return entropy / torch.clamp(counted.sum(), min=1) + dice_weight * (1 - dice.mean())
