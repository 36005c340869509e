"""Targets of voxels by their label values alone."""

from __future__ import annotations

from medseg.targets import ExclusiveLabels


def labels_of(*values: int) -> ExclusiveLabels:
    """Exclusive labels that are named after their values, 0 is the background."""
    return ExclusiveLabels(labels={f"label {value}" if value else "background": value for value in values})
