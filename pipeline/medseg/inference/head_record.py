"""What a model's head found in a case."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from medseg.configuration import Config
from medseg.targets import HeadClasses, HeadLevel


class HeadRecord(Config):
    """Probabilities of the classes of a head.

    Attributes:
        level: What the head classifies: every `slice` along the scan's last axis, or the whole `study`.
        classes: Names of the classes.
        positions_mm: Centre of each slice along the patient axis that slices follow most; empty for `study`.
        slices: Probability of each class on each slice; empty for `study`.
        study: Probability of each class anywhere in the scan.
    """

    level: HeadLevel
    classes: tuple[str, ...]
    positions_mm: tuple[float, ...]
    slices: tuple[tuple[float, ...], ...]
    study: tuple[float, ...]

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        widths = {len(row) for row in (*self.slices, self.study)}
        if widths != {len(self.classes)} or len(self.slices) != len(self.positions_mm):
            raise ValueError(f"a probability must stand for each of {len(self.classes)} classes on every slice")
        return self

    @property
    def target(self) -> HeadClasses:
        """Meaning of the classes."""
        return HeadClasses(level=self.level, classes=self.classes)
