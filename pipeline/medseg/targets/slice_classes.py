"""Classes of the slices of a scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from medseg.errors import ConfigError
from medseg.targets.class_kind import ClassKind, called_classes, class_index, class_probabilities
from medseg.targets.voxel_target import Array, Mask

TargetSource = Literal["label", "slice_labels", "csv"]
UNKNOWN = -1
BACKGROUND = "background"


class SliceClasses(BaseModel):
    """The classes that a slice shows; arrays have a row per slice and a column per class.

    Truth is 1, 0 or `UNKNOWN`, int8. Logits and probabilities are float64 arrays, because thresholds are compared with
    them to the last bit.

    Attributes:
        source: Source of the truth: the label volume, `slice_labels` of the manifest, or a CSV file.
        kind: `multilabel`: each class is there or not; `multiclass`: every slice is of exactly one class.
        classes: Names of the classes, in the order of the network's outputs.
        min_area_mm2: Area that a label must exceed on a slice to count as present; for label volumes only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: TargetSource = "label"
    kind: ClassKind = "multilabel"
    classes: tuple[str, ...] = Field(min_length=1)
    min_area_mm2: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        if len(set(self.classes)) < len(self.classes) or "mean" in self.classes:
            raise ValueError(f"classes must have different names, and none of them 'mean', got {list(self.classes)}")
        return self

    @property
    def channels(self) -> int:
        """Outputs of the network."""
        return len(self.classes)

    @property
    def background(self) -> str | None:
        """Name of the class of slices that show nothing; None where there is no such class."""
        return BACKGROUND if BACKGROUND in self.classes else None

    @property
    def structures(self) -> tuple[str, ...]:
        """Classes that a slice can show, in order; the background is none of them."""
        return tuple(name for name in self.classes if name != BACKGROUND)

    @property
    def can_show_nothing(self) -> bool:
        """Whether a slice may show nothing: with one class per slice that needs a background."""
        return self.kind == "multilabel" or self.background is not None

    def shown(self, areas_mm2: Array) -> Mask:
        """Labels that slices show: those above the least area, or with one class per slice only the largest of them.

        Args:
            areas_mm2: Area of each label on each slice, `(N, labels)`.

        Returns:
            bool of shape `(N, labels)`; a row without true values shows nothing.
        """
        above = np.asarray(areas_mm2 > self.min_area_mm2)
        if self.kind == "multilabel":
            return above
        largest = class_index(np.where(above, areas_mm2, -1))
        return np.asarray(above & (np.arange(above.shape[1]) == largest[:, np.newaxis]))

    def encode(self, areas_mm2: Mapping[str, Array]) -> Array:
        """Truth of slices whose label volume is known.

        Args:
            areas_mm2: Area on each slice of every class but the background, `(N,)` each; further labels do not count.

        Returns:
            1 or 0 of shape `(N, classes)`; with one class per slice the largest label, else the background. A row is
            0 throughout where a slice shows nothing and there is no background.
        """
        names = [name for name in self.classes if name != BACKGROUND or name in areas_mm2]
        shown = self.shown(np.stack([areas_mm2[name] for name in names], axis=1))
        if self.kind == "multilabel":
            return shown.astype(np.int8)
        truth = np.zeros((len(shown), self.channels), dtype=np.int8)
        truth[:, [self.classes.index(name) for name in names]] = shown
        if self.background is not None:
            truth[~shown.any(axis=1), self.classes.index(self.background)] = 1
        return truth

    def ignored(self, truth: Array) -> Mask:
        """Unknown entries of the truth, which count in neither loss nor metrics."""
        return np.asarray(truth < 0)

    def activate(self, logits: Array) -> Array:
        """Probabilities of the classes, `(…, classes)`."""
        return class_probabilities(logits, self.kind)

    def decide(self, probabilities: Array, *, threshold: float = 0.5) -> Mask:
        """Classes that are called on each slice, bool `(N, classes)`; see `called_classes`."""
        return called_classes(probabilities, self.kind, threshold=threshold)

    def any_probability(self, probabilities: Array) -> Array:
        """Probability that a slice shows anything at all, `(N,)`.

        With several labels at once it is the highest of their probabilities; with one class per slice it is one minus
        that of the background.

        Raises:
            ConfigError: If every slice is of one class and none of the classes is the background.
        """
        if self.kind == "multilabel":
            return np.asarray(probabilities.max(axis=1))
        if self.background is None:
            raise ConfigError(
                f"classes must have a {BACKGROUND!r} for slices that show nothing, got {list(self.classes)}"
            )
        return np.asarray(1 - probabilities[:, self.classes.index(self.background)])

    def any_truth(self, truth: Array) -> Array:
        """Whether each slice shows anything: 1, 0 or `UNKNOWN`, `(N,)`."""
        if self.kind == "multiclass" and self.background is not None:
            background = truth[:, self.classes.index(self.background)]
            return np.where(background < 0, UNKNOWN, 1 - background)
        return np.where((truth == 1).any(axis=1), 1, np.where((truth == 0).all(axis=1), 0, UNKNOWN))
