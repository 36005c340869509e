"""What a head finds, and how its loss counts beside that of the masks."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from medseg.configuration import Config
from medseg.targets import HeadClasses, HeadLevel

WeightingKind = Literal["fixed", "uncertainty"]


class HeadConfig(Config):
    """Head of a multitask training.

    Attributes:
        level: What is classified: every `slice` along the scan's last axis, or the whole `study`.
        classes: Names of the classes: labels or regions of the manifest, its study classes, or other names in its
            `slice_labels`.
        weighting: How the losses are added: `fixed` is mask + weight · head; `uncertainty` is
            exp(-s₁) mask + s₁/2 + exp(-s₂) head + s₂/2 with s₁ and s₂ learned (Kendall et al. 2018,
            https://arxiv.org/abs/1705.07115, section 3.2).
        weight: Weight of the head's loss, if it is fixed.
        mask_share: Share of the patches that come from cases with a mask, where there are others; it is held to what
            draws no case more than ten times as often as another.
    """

    level: HeadLevel
    classes: tuple[str, ...] = ()
    weighting: WeightingKind = "fixed"
    weight: float = Field(0.2, gt=0, allow_inf_nan=False)
    mask_share: float = Field(0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _classes_have_a_meaning(self) -> Self:
        if self.classes:
            HeadClasses(level=self.level, classes=self.classes)
        return self

    @property
    def rule(self) -> str:
        """Rule by which the losses are added, in words."""
        return f"weight {self.weight:g}" if self.weighting == "fixed" else "weighted by uncertainty"

    @property
    def target(self) -> HeadClasses:
        """Meaning of the head's outputs."""
        return HeadClasses(level=self.level, classes=self.classes)
