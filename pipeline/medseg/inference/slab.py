"""A range of slices of a scan, such as a gate keeps."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.errors import GeometryError


@dataclass(frozen=True, slots=True)
class Slab:
    """Slices `start <= index < stop` along one axis of a scan's own array.

    Args:
        axis: Number of the axis, 0, 1 or 2 for i, j or k.
        start: First slice.
        stop: One past the last slice; equal to `start` for an empty slab.

    Raises:
        GeometryError: If there is no such axis, or the range is negative or reversed.
    """

    axis: int
    start: int
    stop: int

    def __post_init__(self) -> None:
        if self.axis not in (0, 1, 2) or not 0 <= self.start <= self.stop:
            raise GeometryError(
                f"slab must have axis 0, 1 or 2 and 0 <= start <= stop, got axis {self.axis}, "
                f"{self.start} to {self.stop}",
                remedy="give slice numbers of the scan's own array",
            )

    @property
    def is_empty(self) -> bool:
        """Whether no slice lies in it."""
        return self.start == self.stop
