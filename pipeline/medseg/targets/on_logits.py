"""Targets whose values are the logits themselves, which are averaged, interpolated and decided as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from medseg.targets.exclusive_labels import ExclusiveLabels
from medseg.targets.written_regions import WrittenRegions

if TYPE_CHECKING:
    from torch import Tensor


class LabelsOnLogits(ExclusiveLabels):
    """One of several labels per voxel: the largest logit wins."""

    def activate(self, logits: Tensor, *, dim: int = 0) -> Tensor:
        """The logits as they are."""
        return logits


class RegionsOnLogits(WrittenRegions):
    """Overlapping regions: each is found where its logit is above 0, which is a probability of one half."""

    threshold: ClassVar[float] = 0.0

    def activate(self, logits: Tensor, *, dim: int = 0) -> Tensor:
        """The logits as they are."""
        return logits


def on_logits(target: ExclusiveLabels) -> ExclusiveLabels:
    """The same target with logits for values."""
    kind = RegionsOnLogits if isinstance(target, WrittenRegions) else LabelsOnLogits
    return kind.model_validate(target.model_dump())
