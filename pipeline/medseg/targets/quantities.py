"""Measured values of which every voxel has one for each quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from medseg.quantity import Quantity
from medseg.targets.voxel_target import Array, Mask

if TYPE_CHECKING:
    from torch import Tensor


class Quantities(BaseModel):
    """Quantities with a channel each; the native array holds their values in their units, `(Q, I, J, K)`.

    The network learns `(value - offset) / scale`, numbers near 1. A voxel whose value is NaN is not known: it counts in
    no loss and no metric.

    Attributes:
        kind: Tag of this kind of target in saved files.
        quantities: Unit and range of each quantity by name, in the order of the channels.
        offset: Value of each quantity by name that the network learns as 0; 0 where a name is missing.
        scale: Difference of each quantity by name that the network learns as 1; 1 where a name is missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["quantities"] = "quantities"
    quantities: dict[str, Quantity] = Field(min_length=1)
    offset: dict[str, float] = Field(default_factory=dict)
    scale: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        if strange := sorted({*self.offset, *self.scale} - set(self.quantities)):
            raise ValueError(f"offset and scale must be of {list(self.quantities)}, got {strange}")
        if not all(np.isfinite(value) for value in self.offset.values()):
            raise ValueError(f"offset must be finite, got {self.offset}")
        if not all(np.isfinite(value) and value > 0 for value in self.scale.values()):
            raise ValueError(f"scale must be above 0 and finite, got {self.scale}")
        return self

    @property
    def channels(self) -> int:
        """Output channels of the network: one per quantity."""
        return len(self.quantities)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the quantities."""
        return tuple(self.quantities)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each quantity by name."""
        return {name: quantity.unit for name, quantity in self.quantities.items()}

    @property
    def offsets(self) -> tuple[float, ...]:
        """Value of each channel that the network learns as 0."""
        return tuple(self.offset.get(name, 0.0) for name in self.quantities)

    @property
    def scales(self) -> tuple[float, ...]:
        """Difference of each channel that the network learns as 1."""
        return tuple(self.scale.get(name, 1.0) for name in self.quantities)

    def encode(self, values: Array) -> Tensor:
        """What the network learns of values in units.

        Args:
            values: Values `(Q, I, J, K)` in units; NaN where one is not known.

        Returns:
            float32 of the same shape, NaN where the values are.
        """
        import torch

        # In float64, because values that lie close together far from 0 would lose digits in the difference.
        offset, scale = (np.array(part).reshape(-1, 1, 1, 1) for part in (self.offsets, self.scales))
        return torch.from_numpy(((values.astype(np.float64) - offset) / scale).astype(np.float32))

    def activate(self, logits: Tensor, *, dim: int = 0) -> Tensor:
        """Values in units from the network's outputs, whose channels lie along the axis `dim`."""
        shape = [1] * logits.ndim
        shape[dim] = self.channels
        offset, scale = (logits.new_tensor(part).reshape(shape) for part in (self.offsets, self.scales))
        return logits * scale + offset

    def decide(self, values: Tensor) -> Array:
        """Values in units as a native array, float32 of shape `(Q, I, J, K)`."""
        return np.asarray(values.float().cpu().numpy())

    def blank(self, shape: tuple[int, ...]) -> Array:
        """Native array of a grid on which nothing is known, to be filled part by part."""
        return np.full((self.channels, *shape), np.nan, np.float32)

    def ignored(self, values: Array) -> Mask | None:
        """Voxels `(I, J, K)` of which no quantity is known; None where every voxel has one."""
        unknown = np.asarray(np.isnan(values).all(axis=0))
        return unknown if unknown.any() else None
