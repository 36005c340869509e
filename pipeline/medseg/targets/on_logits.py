"""Targets whose values are the logits themselves, which are averaged, interpolated and decided as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from medseg.targets.exclusive_labels import ExclusiveLabels
from medseg.targets.regions import Regions
from medseg.targets.written_regions import WrittenRegions

if TYPE_CHECKING:
    from torch import Tensor

    from medseg.targets.voxel_target import Array


LabelMap = ExclusiveLabels | Regions


class LabelsOnLogits(ExclusiveLabels):
    """One of several labels per voxel: the largest logit wins."""

    def activate(self, logits: Tensor, *, dim: int = 0) -> Tensor:
        """The logits as they are."""
        return logits


class LabelsOnHalfLogits(LabelsOnLogits):
    """The same in half precision, as nnU-Net decides: logits that rounding makes equal count as equal."""

    def decide(self, values: Tensor) -> Array:
        """Value of the largest logit of each voxel once all are rounded, the lower value of equals."""
        return super().decide(values.half())


class RegionsOnLogits(WrittenRegions):
    """Overlapping regions: each is found where its logit is above 0, which is a probability of one half."""

    threshold: ClassVar[float] = 0.0

    def activate(self, logits: Tensor, *, dim: int = 0) -> Tensor:
        """The logits as they are."""
        return logits


class MapRegionsOnLogits(Regions):
    """Structures that may overlap: each is found where its logit is above 0, which is a probability of one half."""

    @property
    def channel_threshold(self) -> float:
        """Logit above which a structure is found."""
        return 0.0

    def activate(self, logits: Tensor, *, dim: int = 0) -> Tensor:
        """The logits as they are."""
        return logits

    def decide(self, values: Tensor) -> Array:
        """Label values of the structures whose logit is above 0."""
        return self.combine((values > 0).cpu().numpy())


def on_logits(target: LabelMap, *, in_half: bool = False) -> LabelMap:
    """The same target with logits for values.

    Args:
        target: Labels, or regions that are written as labels.
        in_half: Whether logits of labels are rounded to half precision before they are compared.
    """
    if isinstance(target, Regions):
        return MapRegionsOnLogits.model_validate(target.model_dump())
    labels = LabelsOnHalfLogits if in_half else LabelsOnLogits
    kind = RegionsOnLogits if isinstance(target, WrittenRegions) else labels
    return kind.model_validate(target.model_dump())
