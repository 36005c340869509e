"""Dice and cross-entropy of exclusive labels in one pass, in the memory of two float32 copies of the logits.

MONAI's `DiceCELoss` holds the label as one channel per class beside the probabilities and their products. With 118
labels it took five times as long (`benchmarks/README.md`). The value and the
gradient are the same; the tests hold both to MONAI's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from medseg.networks.precision import widened
from medseg.training.ranks import is_alone, summed

_SMOOTH = 1e-5
_FEW_CLASSES = 8
_SLOTS = 256  # partial sums per class, so that a GPU's threads seldom wait for the same one


def dice_and_entropy(logits: Tensor, label: Tensor, dice_weight: float, *, is_partial: bool = False) -> Tensor:
    """Cross-entropy plus weighted 1 − Dice, mean over the foreground classes, voxels pooled over the batch.

    In a distributed training they are pooled over the shares of all processes, and every process has the loss of the
    whole batch with the gradient by its own logits.

    Args:
        logits: Shape `(B, classes, …)`, any floating type; class 0 is the background.
        label: Class indices `(B, 1, …)`.
        dice_weight: Weight of the Dice part.
        is_partial: Whether voxels of a negative index may be there, which count in neither part.

    Returns:
        The loss, a float32 scalar, float64 of such logits; 0 with the gradient 0 where no voxel counts.
    """
    loss: Tensor = _DiceAndEntropy.apply(logits, label, dice_weight, is_partial)  # type: ignore[no-untyped-call]
    return loss


class _DiceAndEntropy(torch.autograd.Function):
    """With p the probabilities, I, P and T the sums of p where the label is c, of p and of the label per class c.

    The Dice part depends on p through I and P alone, so its gradient with respect to p is a constant per class, and
    another where the label is that class.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, label: Tensor, dice_weight: float, is_partial: bool) -> Tensor:
        """Keep the probabilities, which the gradient is made of."""
        batch, classes = logits.shape[:2]
        # Classes lie last where there are many, which is how channels-last logits of a CPU are stored already.
        axis = 1 if classes <= _FEW_CLASSES else 2
        flat = logits.reshape(batch, classes, -1) if axis == 1 else logits.movedim(1, -1).reshape(batch, -1, classes)
        index = label.reshape(batch, -1).long().unsqueeze(axis)
        counted = (index >= 0) if is_partial else None
        index = index.clamp(min=0) if counted is not None else index
        probability = widened(flat).log_softmax(axis)
        true = probability.gather(axis, index)
        voxels = index.numel() if counted is None else int(counted.sum())
        entropy = -true.mean() if counted is None else -(true * counted).sum() / max(1, voxels)
        probability.exp_()
        true = probability.gather(axis, index)
        if counted is not None:
            probability, true = probability * counted, true * counted
        ones = torch.ones_like(true) if counted is None else counted.to(true.dtype)
        overlap, truth = _sums_per_class(true, index, classes), _sums_per_class(ones, index, classes)
        drawn = probability.sum((0, 3 - axis))
        if not is_alone():
            own = torch.stack([entropy.double() * voxels, entropy.new_tensor(voxels, dtype=torch.float64)])
            sums = summed(torch.cat([own, overlap.double(), truth.double(), drawn.double()]))
            voxels, entropy = int(sums[1]), (sums[0] / sums[1].clamp(min=1)).to(probability.dtype)
            overlap, truth, drawn = sums[2:].to(probability.dtype).view(3, classes)
        total = drawn + truth + _SMOOTH
        dice = (2 * overlap + _SMOOTH) / total
        weight = dice_weight / max(1, classes - 1)
        per_voxel, per_true_voxel = weight * dice / total, -2 * weight / total
        per_voxel[0] = per_true_voxel[0] = 0.0
        ctx.save_for_backward(probability, index, true, per_voxel, per_true_voxel, counted)
        ctx.axis, ctx.shape, ctx.dtype, ctx.voxels = axis, logits.shape, logits.dtype, max(1, voxels)
        return entropy + dice_weight * (1 - dice[1:].mean())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """Through softmax: p · (g − Σ p g), with what the label's class adds put where it is.

        Where a voxel does not count, p is kept as 0, and the label's class adds nothing.
        """
        probability, index, true, per_voxel, per_true_voxel, counted = ctx.saved_tensors
        axis = ctx.axis
        at_label = true * per_true_voxel[index] - 1 / ctx.voxels
        at_label = at_label if counted is None else at_label * counted
        with torch.autocast(probability.device.type, enabled=False):
            if axis == 1:
                every, summed = per_voxel[:, None], torch.einsum("bcv,c->bv", probability, per_voxel)
            else:
                every, summed = per_voxel, probability @ per_voxel
        result = (every - (summed.unsqueeze(axis) + at_label)).mul_(probability)
        result.scatter_add_(axis, index, at_label)
        result = result.mul_(gradient).to(ctx.dtype)
        batch, classes = ctx.shape[:2]
        if axis == 1:
            return result.reshape(ctx.shape), None, None, None
        return result.reshape(batch, *ctx.shape[2:], classes).movedim(-1, 1), None, None, None


def _sums_per_class(values: Tensor, index: Tensor, classes: int) -> Tensor:
    """Sum of the values at each class index."""
    if classes <= _FEW_CLASSES:
        return torch.stack([((index == value) * values).sum() for value in range(classes)])
    slots = torch.arange(index.numel(), device=index.device) % _SLOTS
    sums = values.new_zeros(classes * _SLOTS)
    return sums.scatter_add_(0, index.flatten() * _SLOTS + slots, values.flatten()).view(classes, _SLOTS).sum(1)
