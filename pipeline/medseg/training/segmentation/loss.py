"""The loss of each kind of target, over all supervised scales."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from medseg.errors import ConfigError
from medseg.targets import ExclusiveLabels, Regions, VoxelTarget, WrittenRegions
from medseg.training.segmentation.dice_entropy import dice_and_entropy
from medseg.training.segmentation.marginal_loss import Group, MarginalLoss
from medseg.training.segmentation.over_scales import over_scales
from medseg.training.segmentation.region_loss import region_loss
from medseg.training.share import gathered, own_share


def loss_for(
    target: VoxelTarget, *, dice_weight: float = 1.0, groups: Sequence[Group] = (), is_partial: bool = False
) -> nn.Module:
    """Loss that trains a target, called with logits per scale and the encoded label.

    Args:
        target: Meaning of the channels.
        dice_weight: Weight of the Dice part beside the cross-entropy, where the loss has one.
        groups: Labels that some cases do not annotate, as `open_groups` lists them.
        is_partial: Whether there are voxels that do not count, such as those of cases without a mask, though the
            target has no value for them.

    Raises:
        ConfigError: If there is no loss for the target.
    """
    if isinstance(target, ExclusiveLabels) and not isinstance(target, WrittenRegions):
        if groups:
            return MarginalLoss(target, groups, dice_weight)
        return SegmentationLoss(dice_weight, is_partial=is_partial or target.ignore is not None)
    if isinstance(target, Regions):
        return RegionLoss(dice_weight)
    raise ConfigError(
        f"target: a loss must exist for it, got {target.kind}", remedy="train on exclusive labels or on regions"
    )


class SegmentationLoss(nn.Module):
    """Loss of exclusive labels: batch Dice of the foreground plus cross-entropy.

    Each coarser scale has half the weight of the one before.

    Args:
        dice_weight: Weight of the Dice part beside the cross-entropy.
        is_partial: Whether voxels that nobody has annotated may be there; they count in neither part.

    Source: Isensee et al. 2021, https://doi.org/10.1038/s41592-020-01008-z, online methods.
    """

    def __init__(self, dice_weight: float = 1.0, *, is_partial: bool = False) -> None:
        super().__init__()
        self.dice_weight = dice_weight
        self.is_partial = is_partial

    def forward(self, scales: Sequence[Tensor], label: Tensor) -> Tensor:
        """Loss of logits `(B, classes, …)` per scale, finest first, against class indices `(B, 1, …)`."""
        return over_scales(
            lambda logits, target: dice_and_entropy(logits, target, self.dice_weight, is_partial=self.is_partial),
            scales,
            label,
        )


class RegionLoss(nn.Module):
    """Loss of overlapping structures: batch Dice of each plus its binary cross-entropy.

    Each coarser scale has half the weight of the one before.

    Args:
        dice_weight: Weight of the Dice part beside the cross-entropy.

    Source: Isensee et al. 2020, https://arxiv.org/abs/2011.00848, section 2.2 (region-based training).
    """

    def __init__(self, dice_weight: float = 1.0) -> None:
        super().__init__()
        self.dice_weight = dice_weight

    def forward(self, scales: Sequence[Tensor], label: Tensor) -> Tensor:
        """Loss of logits `(B, structures, …)` per scale, finest first, against 0, 1 or `IGNORED` of the same shape."""
        return over_scales(lambda logits, target: region_loss(logits, target, self.dice_weight), scales, label)


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
