"""Structures that may overlap, each of them some of the values of a label map."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from medseg.targets.exclusive_labels import IGNORED
from medseg.targets.label_values import LabelValues
from medseg.targets.value_counts import holds, value_counts
from medseg.targets.voxel_target import Array, Mask

if TYPE_CHECKING:
    from torch import Tensor

MOST_REGIONS = 16  # whose combinations a table holds


def regions_of(target: object) -> dict[str, tuple[int, ...]] | None:
    """Values that make up each structure of a target whose structures overlap; None for every other target."""
    return dict(target.regions) if isinstance(target, Regions) else None


class Regions(LabelValues):
    """Overlapping structures, each with a channel of its own; the native array is a map of label values.

    A value stands for a combination of structures: a voxel of value 3 belongs to every structure whose values hold 3.
    Nested structures (whole tumour, core) are written so, and any others that overlap, with a value for each
    combination that occurs. A combination that no value stands for is written as nnU-Net writes it: the structures in
    their order, later ones over earlier ones.

    Attributes:
        kind: Tag of this kind of target in saved files.
        labels: Name and value of what a label file holds, the background included.
        regions: Values that make up each structure.
        order: Value that each structure writes where no value stands for the combination.
        ignore: Value of voxels that nobody has annotated; None where every voxel is.
    """

    kind: Literal["regions"] = "regions"
    regions: dict[str, tuple[int, ...]] = Field(min_length=1, max_length=MOST_REGIONS)
    order: tuple[int, ...]

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        values = self.values
        if len(self.order) != len(self.regions):
            raise ValueError(f"order must have a value for each of {len(self.regions)} regions, got {len(self.order)}")
        if unnamed := sorted(set(self.order) - set(values)):
            raise ValueError(f"order must hold values of labels, got {unnamed}")
        for name, held in self.regions.items():
            if not held or 0 in held or not set(held) <= set(values):
                raise ValueError(f"region {name!r} must hold values of labels other than 0, got {list(held)}")
        return self

    @property
    def channels(self) -> int:
        """Output channels of the network: one per structure."""
        return len(self.regions)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the structures."""
        return tuple(self.regions)

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the structures."""
        return tuple(self.regions)

    @property
    def channel_values(self) -> tuple[int, ...] | None:
        """Nothing: each channel is decided apart."""
        return None

    @property
    def channel_threshold(self) -> float | None:
        """Probability above which a structure is found."""
        return 0.5

    def encode(self, label: Array) -> Tensor:
        """Whether each voxel belongs to each structure.

        Args:
            label: Label values `(I, J, K)`, each of them named or ignored.

        Returns:
            int16 of shape `(channels, I, J, K)`; `IGNORED` where a voxel does not count.
        """
        import torch

        held = np.stack([np.isin(label, values) for values in self.regions.values()]).astype(np.int16)
        ignored = self.ignored(label)
        if ignored is not None:
            held[:, ignored] = IGNORED
        return torch.from_numpy(held)

    def activate(self, logits: Tensor, *, dim: int = 0) -> Tensor:
        """Probability of each structure."""
        return logits.sigmoid()

    def decide(self, values: Tensor) -> Array:
        """Label values of the structures whose probability is above one half.

        Args:
            values: Probabilities `(channels, I, J, K)` on any device.

        Returns:
            Label values `(I, J, K)` in the type of `blank`; 0 where no structure is found.
        """
        return self.combine((values > 0.5).cpu().numpy())

    def combine(self, found: Mask) -> Array:
        """Label values from the voxels `(channels, I, J, K)` of each structure; 0 where none is found."""
        code = np.zeros(found.shape[1:], np.uint16)
        for place, where in enumerate(found):
            code |= where.astype(np.uint16) << place
        return np.asarray(self._value_of_combination[code])

    def soft_sums(self, values: Tensor) -> Tensor:
        """Sums over all voxels of each structure's probability; see `VoxelTarget`."""
        import torch

        flat = values.flatten(1).double()
        found = flat > 0.5
        return torch.stack([(flat * found).sum(1), flat.sum(1), found.sum(1).double()]).cpu()

    def shows(self, array: Array, structure: str) -> Mask:
        """Voxels of a label map that belong to a structure."""
        return holds(array, self.regions[structure])

    def voxels(self, array: Array) -> dict[str, int]:
        """Number of voxels of every structure in a label map."""
        counts = value_counts(array, self.values[-1] + 1)
        return {name: int(counts[sorted(set(held))].sum()) for name, held in self.regions.items()}

    def without(self, array: Array, where: Mask, structure: str | None = None) -> Array:
        """A label map without one structure, or with nothing, in some voxels; other structures stay as they are.

        Where no value stands for what is left, as of an inner structure without the one around it, that goes too.
        """
        if structure is None:
            return np.where(where, array.dtype.type(0), array)
        return self._changed(array, where, lambda code: self._value_within(code & ~self._bit(structure)))

    def extended(self, array: Array, structure: str, where: Mask) -> Array:
        """A label map in which some voxels belong to a structure, too."""
        return self._changed(array, where, lambda code: int(self._value_of_combination[code | self._bit(structure)]))

    def _changed(self, array: Array, where: Mask, value_for: Callable[[int], int]) -> Array:
        """A label map with other values in some voxels, by the combination of structures that is there."""
        table = self.blank((self.values[-1] + 1,))
        for value in self.values:
            table[value] = value_for(self._code_of(value))
        return np.where(where, table[np.where(where, array, 0)], array).astype(array.dtype, copy=False)

    def _value_within(self, code: int) -> int:
        """Value of as many of a combination's structures as one stands for, and of no other; 0 where none does."""
        exact = int(self._value_of_combination[code])
        within = [value for value in self.values if self._code_of(value) | code == code]
        most = max(within, key=lambda value: self._code_of(value).bit_count(), default=0)
        return exact if self._code_of(exact) == code else most

    def _bit(self, structure: str) -> int:
        return 1 << self.structures.index(structure)

    @cached_property
    def _value_of_combination(self) -> Array:
        """Value of each combination of structures, of which the n-th has bit n."""
        table = self.blank((1 << self.channels,))
        codes = np.arange(len(table))
        for place, value in enumerate(self.order):
            table[codes >> place & 1 == 1] = value
        for value in reversed(self.values):
            code = self._code_of(value)
            if self._code_of(int(table[code])) != code:
                table[code] = value
        return table

    def _code_of(self, value: int) -> int:
        return sum((value in held) << place for place, held in enumerate(self.regions.values()))
