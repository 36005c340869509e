"""The check that two arrays can be compared voxel by voxel."""

from __future__ import annotations

from medseg.errors import GeometryError
from medseg.records import Array


def check_same_shape(label: Array, mask: Array) -> None:
    """Refuse a mask of another shape.

    Raises:
        GeometryError: If the shapes differ.
    """
    if label.shape != mask.shape:
        raise GeometryError(
            f"mask: must have the label's shape {label.shape}, got {mask.shape}", remedy="put both on one grid first"
        )
