"""The interface of every target of voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


class ChannelTarget(Protocol):
    """What a sliding window and the way back to the scan's grid must know of a network's channels."""

    @property
    def channels(self) -> int:
        """Output channels of the network."""

    def activate(self, logits: Tensor, *, dim: int = 0) -> Tensor:
        """Values from logits whose channels lie along the axis `dim`, on the same device."""

    def blank(self, shape: tuple[int, ...]) -> Array:
        """Native array of a grid, to be filled part by part."""

    def decide(self, values: Tensor) -> Array:
        """Native array from activated values `(channels, I, J, K)` on any device."""


class VoxelTarget(ChannelTarget, Protocol):
    """Meaning of the channels of a network that has an output for every voxel.

    A native array is what such a target reads and writes on a grid `(I, J, K)`: a label map has the grid's shape; the
    arrays of other targets may have leading axes (one entry per region or quantity) and other types. All methods work
    on any part of a grid, so that a volume can be restored slab by slab.
    """

    @property
    def kind(self) -> str:
        """Name of the kind of target, as in saved files."""

    @property
    def channels(self) -> int:
        """Output channels of the network."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of everything that a voxel can be, in the order in which they were given."""

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of what can be shown, outlined and measured by its voxels; the background is none of them."""

    @property
    def channel_values(self) -> tuple[int, ...] | None:
        """Native value of each channel if `decide` takes that of the largest, the first of equals; None otherwise."""

    @property
    def channel_threshold(self) -> float | None:
        """Activated value above which a channel is found, if `decide` decides each apart; None otherwise."""

    def combine(self, found: Mask) -> Array:
        """Native array from the voxels `(channels, I, J, K)` in which each channel is found."""

    def encode(self, label: Array) -> Tensor:
        """Reference of a training patch, `(…, I, J, K)`, from a native array."""

    def ignored(self, label: Array) -> Mask | None:
        """Voxels of a native reference that count in neither loss nor metrics, `(I, J, K)`; None where all count."""

    def activate(self, logits: Tensor, *, dim: int = 0) -> Tensor:
        """Values from logits whose channels lie along the axis `dim`, on the same device."""

    def blank(self, shape: tuple[int, ...]) -> Array:
        """Native array of a grid on which nothing is found, to be filled part by part."""

    def decide(self, values: Tensor) -> Array:
        """Native array from activated values `(channels, I, J, K)` on any device."""

    def soft_sums(self, values: Tensor) -> Tensor:
        """Sums over all voxels for each structure, of which a soft Dice is made.

        Args:
            values: Activated values `(channels, I, J, K)` on any device.

        Returns:
            float64 of shape `(3, structures)` on the CPU: the sum of the structure's probability where it would be
            decided, the sum of it everywhere, and the number of voxels where it would be decided.
        """

    def shows(self, array: Array, structure: str) -> Mask:
        """Voxels of a native array that belong to a structure, `(I, J, K)`."""

    def voxels(self, array: Array) -> dict[str, int]:
        """Number of voxels of every structure in a native array."""

    def is_blank(self, array: Array) -> Mask:
        """Voxels of a native array in which nothing is found, `(I, J, K)`."""

    def without(self, array: Array, where: Mask, structure: str | None = None) -> Array:
        """A copy of a native array without a structure in the voxels `(I, J, K)` that are true.

        Where each voxel belongs to one structure, or none is named, nothing is found there.
        """

    def extended(self, array: Array, structure: str, where: Mask) -> Array:
        """A copy of a native array in which the voxels `(I, J, K)` that are true belong to a structure."""
