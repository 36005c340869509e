"""Dice and cross-entropy over all supervised scales."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.losses.dice import DiceCELoss
from torch import Tensor, nn
from torch.nn import functional


class SegmentationLoss(nn.Module):
    """Batch Dice of the foreground plus cross-entropy; each coarser scale weighs half of the one before.

    Args:
        dice_weight: Weight of the Dice part beside the cross-entropy.

    Source: Isensee et al. 2021, https://doi.org/10.1038/s41592-020-01008-z, online methods.
    """

    def __init__(self, dice_weight: float = 1.0) -> None:
        super().__init__()
        self.loss = DiceCELoss(
            include_background=False, to_onehot_y=True, softmax=True, batch=True, lambda_dice=dice_weight,
            smooth_nr=1e-5, smooth_dr=1e-5,
        )  # fmt: skip

    def forward(self, scales: Sequence[Tensor], label: Tensor) -> Tensor:
        """Loss of logits `(B, classes, …)` per scale, finest first, against class indices `(B, 1, …)`."""
        weights = [0.5**n for n in range(len(scales))]
        total = torch.zeros((), device=label.device)
        for weight, logits in zip(weights, scales, strict=True):
            target = label
            if logits.shape[2:] != label.shape[2:]:
                target = functional.interpolate(label.float(), size=logits.shape[2:], mode="nearest-exact")
            total = total + weight * self.loss(logits.float(), target)
        return total / sum(weights)
