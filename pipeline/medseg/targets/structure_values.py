"""The label values that make up each structure."""

from __future__ import annotations

from medseg.targets.exclusive_labels import ExclusiveLabels
from medseg.targets.regions import regions_of


def structure_values(target: object) -> dict[str, tuple[int, ...]]:
    """Values that make up each structure of a target whose native array is one map of label values; else nothing."""
    if isinstance(target, ExclusiveLabels):
        return {name: (value,) for name, value in target.foreground.items()}
    return regions_of(target) or {}
