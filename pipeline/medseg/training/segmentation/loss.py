"""The loss of each kind of target, over all supervised scales."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.errors import ConfigError
from medseg.targets import ExclusiveLabels, VoxelTarget
from medseg.training.segmentation.dice_entropy import dice_and_entropy
from medseg.training.share import gathered, own_share


def loss_for(target: VoxelTarget, *, dice_weight: float = 1.0) -> nn.Module:
    """Loss that trains a target, called with logits per scale and the encoded label.

    Args:
        target: Meaning of the channels.
        dice_weight: Weight of the Dice part beside the cross-entropy, where the loss has one.

    Raises:
        ConfigError: If there is no loss for the target.
    """
    if isinstance(target, ExclusiveLabels) and target.ignore is None:
        return SegmentationLoss(dice_weight)
    what = "ignored voxels" if isinstance(target, ExclusiveLabels) else target.kind
    raise ConfigError(
        f"target: a loss must exist for it, got {what}", remedy="train on exclusive labels of every voxel"
    )


class SegmentationLoss(nn.Module):
    """Loss of exclusive labels: batch Dice of the foreground plus cross-entropy.

    Each coarser scale has half the weight of the one before.

    Args:
        dice_weight: Weight of the Dice part beside the cross-entropy.

    Source: Isensee et al. 2021, https://doi.org/10.1038/s41592-020-01008-z, online methods.
    """

    def __init__(self, dice_weight: float = 1.0) -> None:
        super().__init__()
        self.dice_weight = dice_weight

    def forward(self, scales: Sequence[Tensor], label: Tensor) -> Tensor:
        """Loss of logits `(B, classes, …)` per scale, finest first, against class indices `(B, 1, …)`."""
        weights = [0.5**n for n in range(len(scales))]
        total = torch.zeros((), device=label.device)
        for weight, logits in zip(weights, scales, strict=True):
            target = label
            if logits.shape[2:] != label.shape[2:]:
                target = functional.interpolate(label.float(), size=logits.shape[2:], mode="nearest-exact")
            total = total + weight * dice_and_entropy(logits, target, self.dice_weight)
        return total / sum(weights)


class WholeBatchLoss(nn.Module):
    """A loss of any kind over the whole batch of a distributed training, whose logits every process gathers.

    Args:
        loss: Loss of a whole batch.
        batch_size: Samples of a whole batch.
    """

    def __init__(self, loss: nn.Module, batch_size: int) -> None:
        super().__init__()
        self.loss = loss
        self.batch_size = batch_size

    def forward(self, scales: Sequence[Tensor], label: Tensor) -> Tensor:
        """Loss of the whole batch, with the gradient by this process's logits."""
        share = own_share(self.batch_size)
        value: Tensor = self.loss([gathered(logits, share) for logits in scales], gathered(label, share))
        return value
