"""What a model's card says of its head."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from medseg.configuration import Config
from medseg.targets import HeadClasses, HeadLevel


class HeadCard(Config):
    """Classes of a head, and how its logits become probabilities.

    Attributes:
        level: What is classified: every `slice` along the scan's last axis, or the whole `study`.
        classes: Names of the classes, in the order of the network's outputs.
        temperature: Number that logits are divided by; 1 until it was fitted.
        calibrated_on: Validation cases that it was fitted on.
    """

    level: HeadLevel
    classes: tuple[str, ...] = Field(min_length=1)
    temperature: float = Field(1.0, gt=0)
    calibrated_on: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _classes_have_a_meaning(self) -> Self:
        HeadClasses(level=self.level, classes=self.classes)
        return self

    @property
    def target(self) -> HeadClasses:
        """Meaning of the head's outputs."""
        return HeadClasses(level=self.level, classes=self.classes)
