"""Voxels of which each belongs to exactly one label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from medseg.targets.label_values import LabelValues
from medseg.targets.value_counts import value_counts
from medseg.targets.voxel_target import Array, Mask

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -1


class ExclusiveLabels(LabelValues):
    """One of several labels per voxel; the native array is a map of label values.

    Channel n of the network is the n-th label value in rising order.

    Attributes:
        kind: Tag of this kind of target in saved files.
        labels: Value of each label by name, the background included.
        ignore: Value of voxels that nobody has annotated; None where every voxel is.
    """

    kind: Literal["exclusive_labels"] = "exclusive_labels"

    @property
    def channel_values(self) -> tuple[int, ...] | None:
        """Label value of each channel: `decide` takes that of the largest channel."""
        return self.values

    @property
    def channel_threshold(self) -> float | None:
        """Nothing: the largest channel decides."""
        return None

    def combine(self, found: Mask) -> Array:
        """Label values from the voxels `(channels, I, J, K)` of each channel, of which one has each voxel."""
        mask = self.blank(tuple(found.shape[1:]))
        for value, where in zip(self.values, found, strict=True):
            mask[where] = value
        return mask

    @property
    def channels(self) -> int:
        """Output channels of the network: one per label, the background included."""
        return len(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the labels, the background included."""
        return tuple(self.labels)

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the labels but the background, in the order of `labels`."""
        return tuple(self.foreground)

    def encode(self, label: Array) -> Tensor:
        """Channel of each voxel's label.

        Args:
            label: Label values `(I, J, K)`, each of them named or ignored.

        Returns:
            int16 of shape `(1, I, J, K)`; `IGNORED` where a voxel does not count.
        """
        import torch

        index = np.searchsorted(np.array(self.values), label)[np.newaxis].astype(np.int16)
        ignored = self.ignored(label)
        if ignored is not None:
            index[0, ignored] = IGNORED
        return torch.from_numpy(index)

    def activate(self, logits: Tensor, *, dim: int = 0) -> Tensor:
        """Probabilities of the labels, which add up to 1 along the axis of the channels."""
        return logits.softmax(dim=dim)

    def decide(self, values: Tensor) -> Array:
        """Value of the most probable label of each voxel, the lower value of equals.

        Args:
            values: Probabilities `(channels, I, J, K)` on any device.

        Returns:
            Label values `(I, J, K)` in the type of `blank`.
        """
        table = np.array(self.values, dtype=np.min_scalar_type(self.values[-1]))
        return np.asarray(table[values.argmax(dim=0).int().cpu().numpy()])

    def soft_sums(self, values: Tensor) -> Tensor:
        """Sums over all voxels: the probability of a label where it is the most probable, everywhere, and their count.

        Args:
            values: Probabilities `(channels, I, J, K)` on any device.

        Returns:
            float64 of shape `(3, structures)` on the CPU.
        """
        import torch

        best = values.max(dim=0)
        channel = best.indices.flatten()
        # In float32 a sum of some millions no longer grows by what is added.
        inside = channel.bincount(best.values.flatten().double(), minlength=self.channels)
        count = channel.bincount(minlength=self.channels)
        sums = torch.stack([inside, values.flatten(1).sum(dim=1), count.to(inside)])
        return sums.cpu().double()[:, [self.values.index(value) for value in self.foreground.values()]]

    def shows(self, array: Array, structure: str) -> Mask:
        """Voxels of a label map that have the value of a label."""
        return np.asarray(array == self.labels[structure])

    def voxels(self, array: Array) -> dict[str, int]:
        """Number of voxels of every label but the background in a label map."""
        counts = value_counts(array, self.values[-1] + 1)
        return {name: int(counts[value]) for name, value in self.foreground.items()}

    def without(self, array: Array, where: Mask, structure: str | None = None) -> Array:
        """A label map in which nothing is found in some voxels; of regions, what lay below is not known there."""
        return np.where(where, array.dtype.type(0), array)

    def extended(self, array: Array, structure: str, where: Mask) -> Array:
        """A label map in which some voxels belong to a structure."""
        return np.where(where, array.dtype.type(self.labels[structure]), array)
