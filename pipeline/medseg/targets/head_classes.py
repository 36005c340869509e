"""Classes that a network's head finds beside its masks."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from medseg.targets.class_kind import class_probabilities
from medseg.targets.slice_classes import UNKNOWN
from medseg.targets.voxel_target import Array

HeadLevel = Literal["slice", "study"]


class HeadClasses(BaseModel):
    """Classes of each slice along the scan's last axis, or of the whole scan, each there or not.

    Truth is 1, 0 or `UNKNOWN`, int8, with a row per slice, or one row for the scan.

    Attributes:
        level: What is classified: every `slice`, or the whole `study`.
        classes: Names of the classes, in the order of the network's outputs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: HeadLevel
    classes: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        if len(set(self.classes)) < len(self.classes) or "mean" in self.classes:
            raise ValueError(f"classes must have different names, and none of them 'mean', got {list(self.classes)}")
        return self

    def unknown(self, slices: int) -> Array:
        """Truth of a scan of which nothing is known."""
        return np.full((slices if self.level == "slice" else 1, len(self.classes)), UNKNOWN, np.int8)

    def activate(self, logits: Array, *, temperature: float = 1.0) -> Array:
        """Probabilities of logits `(N, classes)`; 0 where a logit is NaN, which stands for what the network cannot see.

        Args:
            logits: Logits.
            temperature: Number that calibrated logits are divided by.
        """
        return np.nan_to_num(class_probabilities(logits / temperature, "multilabel"), nan=0.0)

    def any_truth(self, truth: Array) -> Array:
        """Truth of the whole scan, `(classes,)`: of a class that one slice shows, or that all slices lack."""
        is_absent = (truth == 0).all(axis=0) & (len(truth) > 0)
        return np.where((truth == 1).any(axis=0), 1, np.where(is_absent, 0, UNKNOWN)).astype(np.int8)
