"""Overlapping regions that are written into one label map."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from medseg.targets.exclusive_labels import ExclusiveLabels
from medseg.targets.voxel_target import Array, Mask

if TYPE_CHECKING:
    from torch import Tensor


class WrittenRegions(ExclusiveLabels):
    """Regions that may overlap, each with a channel of its own, of which later ones are written over earlier ones.

    The native array is a map of label values, so what is shown and measured are the labels that remain visible.

    Attributes:
        regions: Label values that make up the region of each channel.
        order: Value that each channel writes where its region is found.
    """

    regions: tuple[tuple[int, ...], ...] = Field(min_length=1)
    order: tuple[int, ...]
    threshold: ClassVar[float] = 0.5  # value above which a region is found

    @model_validator(mode="after")
    def _every_region_is_written(self) -> Self:
        if len(self.order) != len(self.regions):
            raise ValueError(
                f"order must have one value for each of {len(self.regions)} regions, got {len(self.order)}"
            )
        unnamed = sorted(set(self.order) - set(self.values))
        if unnamed:
            raise ValueError(f"order must hold values of labels, got {unnamed}")
        return self

    @property
    def channels(self) -> int:
        """Output channels of the network: one per region."""
        return len(self.regions)

    @property
    def channel_values(self) -> None:
        """Nothing: each channel is decided apart."""

    def encode(self, label: Array) -> Tensor:
        """Whether each voxel belongs to each region.

        Args:
            label: Label values `(I, J, K)`.

        Returns:
            int16 of shape `(channels, I, J, K)`.
        """
        import torch

        return torch.from_numpy(np.stack([np.isin(label, region) for region in self.regions]).astype(np.int16))

    def activate(self, logits: Tensor, *, dim: int = 0) -> Tensor:
        """Probability of each region."""
        return logits.sigmoid()

    def decide(self, values: Tensor) -> Array:
        """Value that the last region of each voxel writes, of those whose value is above the threshold.

        Args:
            values: Probabilities `(channels, I, J, K)` on any device.

        Returns:
            Label values `(I, J, K)` in the type of `blank`; 0 where no region is found.
        """
        return self.combine((values > self.threshold).cpu().numpy())

    @property
    def channel_threshold(self) -> float:
        """Value above which a region is found."""
        return self.threshold

    def combine(self, found: Mask) -> Array:
        """Label values from the voxels `(channels, I, J, K)` of each region; 0 where none is found."""
        mask = self.blank(tuple(found.shape[1:]))
        for value, where in zip(self.order, found, strict=True):
            mask[where] = value
        return mask

    def soft_sums(self, values: Tensor) -> Tensor:
        """Sums over all voxels of each label's probability to remain visible; see `VoxelTarget`."""
        import torch

        mask = torch.from_numpy(self.decide(values).astype(np.int64)).to(values.device)
        visible = torch.zeros(3, len(self.foreground), dtype=torch.float64)
        covered = torch.ones_like(values[0])  # probability that no later region is there
        column = {value: n for n, value in enumerate(self.foreground.values())}
        for value, probability in reversed(list(zip(self.order, values, strict=True))):
            share, is_decided = probability * covered, mask == value
            covered = covered * (1 - probability)
            if value in column:
                visible[:2, column[value]] += torch.stack([share[is_decided].sum(), share.sum()]).cpu().double()
                visible[2, column[value]] = float(is_decided.sum())
        return visible
