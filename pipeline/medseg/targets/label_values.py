"""What targets share whose native array is one map of label values."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from medseg.targets.voxel_target import Array, Mask


class LabelValues(BaseModel):
    """Names of the values of a label map, one of which may say that nobody has annotated a voxel.

    Attributes:
        kind: Tag of the kind of target in saved files.
        labels: Value of each label by name, the background included.
        ignore: Value of voxels that nobody has annotated; None where every voxel is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    labels: dict[str, int] = Field(min_length=1)
    ignore: int | None = None

    @model_validator(mode="after")
    def _values_are_distinct(self) -> Self:
        values = self.values
        if len(set(values)) < len(values) or values[0] < 0:
            raise ValueError(f"labels must have different values from 0, got {self.labels}")
        if self.ignore in values:
            raise ValueError(f"ignore must not be the value of a label, got {self.ignore} of {self.labels}")
        return self

    @property
    def values(self) -> tuple[int, ...]:
        """Values of a label map, rising."""
        return tuple(sorted(self.labels.values()))

    @property
    def foreground(self) -> dict[str, int]:
        """Value of each label but the background, in the order of `labels`."""
        return {name: value for name, value in self.labels.items() if value != 0}

    def ignored(self, label: Array) -> Mask | None:
        """Voxels that nobody has annotated, `(I, J, K)`; None where every voxel is annotated."""
        return None if self.ignore is None else np.asarray(label == self.ignore)

    def annotated(self, label: Array) -> Array:
        """A label map with background where nobody has annotated; the map itself where every voxel is."""
        return label if self.ignore is None else np.where(label == self.ignore, label.dtype.type(0), label)

    def blank(self, shape: tuple[int, ...]) -> Array:
        """Map of background in the smallest unsigned type that holds every label value."""
        return np.zeros(shape, np.min_scalar_type(self.values[-1]))

    def is_blank(self, array: Array) -> Mask:
        """Voxels of a label map in which nothing is found."""
        return np.asarray(array == 0)
