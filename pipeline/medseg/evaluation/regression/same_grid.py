"""The check that two volumes and a part of them can be compared voxel by voxel."""

from __future__ import annotations

from medseg.errors import GeometryError
from medseg.records import Array, Mask


def check_same_shape(reference: Array, predicted: Array, where: Mask | None = None) -> None:
    """Refuse volumes of different shapes.

    Raises:
        GeometryError: If prediction or part has another shape than the reference.
    """
    for thing, array in (("predicted values", predicted), ("part", where)):
        if array is not None and array.shape != reference.shape:
            raise GeometryError(
                f"{thing}: must have the reference's shape {reference.shape}, got {array.shape}",
                remedy="put both on one grid first",
            )
