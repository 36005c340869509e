"""Cross-entropy of slices or studies, of which some may be unknown."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.records import Array
from medseg.targets import ClassKind, class_index


class ClassLoss(nn.Module):
    """Weighted cross-entropy that leaves out unknown classes.

    Args:
        kind: `multilabel` for a binary cross-entropy per class, `multiclass` for one over all classes.
        weights: Weight of each class.
    """

    weights: Tensor

    def __init__(self, kind: ClassKind, weights: Array) -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("weights", torch.as_tensor(weights, dtype=torch.float32))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of logits `(B, classes)` against 1, 0 or -1 (unknown), `(B, classes)`; 0 where nothing is known."""
        known = target >= 0
        if self.kind == "multilabel":
            each = functional.binary_cross_entropy_with_logits(
                logits, target.clamp(min=0).float(), pos_weight=self.weights, reduction="none"
            )
            return (each * known).sum() / known.sum().clamp(min=1)
        is_decided = (target == 1).sum(dim=1) == 1
        each = functional.cross_entropy(logits, class_index(target), weight=self.weights, reduction="none")
        return (each * is_decided).sum() / is_decided.sum().clamp(min=1)
