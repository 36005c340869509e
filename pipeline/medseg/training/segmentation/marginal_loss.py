"""Dice and cross-entropy of exclusive labels of which some cases annotate only some."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medseg.networks.precision import widened
from medseg.preprocess.segmentation import StoredCase
from medseg.targets import IGNORED, ExclusiveLabels, VoxelTarget
from medseg.training.segmentation.masked import has_mask
from medseg.training.segmentation.over_scales import over_scales

_SMOOTH = 1e-5
_FIRST = IGNORED - 1  # index of a voxel that may be any of the first group's labels
Group = tuple[str, ...]


def open_groups(cases: Sequence[StoredCase], target: VoxelTarget) -> tuple[Group, ...]:
    """The different lists of labels that cases with a mask do not annotate, sorted; none where they annotate all.

    A case without a mask says nothing of any voxel, so that there is nothing that its voxels may be.
    """
    return tuple(sorted({case.unannotated for case in cases if case.unannotated and has_mask(case, target)}))


def open_index(group: int) -> int:
    """Index of a voxel of which a case says only that it is none of the labels that it annotates.

    Args:
        group: Place of the labels that it may be among the `open_groups`.
    """
    return _FIRST - group


class MarginalLoss(nn.Module):
    """Loss of exclusive labels where some cases annotate only some of them: batch Dice plus cross-entropy.

    The background of such a case is either background or one of the labels that it does not annotate, so that the sum
    of their probabilities counts as that of the right class, and the Dice of each label is taken over the voxels of
    which it is known whether they belong to it. Each coarser scale has half the weight of the one before.

    Args:
        target: Labels.
        groups: Labels that cases do not annotate, as `open_groups` lists them.
        dice_weight: Weight of the Dice part beside the cross-entropy.

    Source: Shi et al. 2021, https://doi.org/10.1016/j.media.2021.101979, section 3.2 (marginal loss).
    """

    may_be: Tensor

    def __init__(self, target: ExclusiveLabels, groups: Sequence[Group], dice_weight: float = 1.0) -> None:
        super().__init__()
        self.dice_weight = dice_weight
        may_be = torch.zeros(len(groups), target.channels, dtype=torch.bool)
        for number, group in enumerate(groups):
            may_be[number, [0, *(target.values.index(target.labels[name]) for name in group)]] = True
        self.register_buffer("may_be", may_be, persistent=False)

    def forward(self, scales: Sequence[Tensor], label: Tensor) -> Tensor:
        """Loss of logits `(B, classes, …)` per scale, finest first, against class indices `(B, 1, …)`.

        Indices are `IGNORED` where a voxel does not count, and `open_index` where it may be one of several classes.
        """
        return over_scales(self._loss, scales, label)

    def _loss(self, logits: Tensor, label: Tensor) -> Tensor:
        flat, index = widened(logits).flatten(2), label.flatten(2)[:, 0].long()  # (B, C, V), (B, V)
        counted, is_open = index != IGNORED, index <= _FIRST
        classes = torch.arange(flat.shape[1], device=flat.device)[:, None]
        shown = index[:, None] == classes  # (B, C, V)
        may_be = self.may_be[(_FIRST - index).clamp(min=0)].movedim(-1, 1) & is_open[:, None]
        right = shown | may_be | ~counted[:, None]
        log = flat.log_softmax(1)
        entropy = -(log.masked_fill(~right, -torch.inf).logsumexp(1) * counted).sum() / counted.sum().clamp(min=1)
        known = counted[:, None] & ~may_be
        drawn = log.exp() * known
        overlap, total = (drawn * shown).sum((0, 2)), (drawn + shown).sum((0, 2))
        dice = (2 * overlap + _SMOOTH) / (total + _SMOOTH)
        return entropy + self.dice_weight * (1 - dice[1:].mean())
