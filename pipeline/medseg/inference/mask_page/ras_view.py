"""Voxels in the order in which a patient is shown, and back, without any interpolation."""

from __future__ import annotations

from typing import NamedTuple, Self

from medseg.geometry import Geometry
from medseg.records import Array


class AxisOrder(NamedTuple):
    """How the axes of an array become axes towards right, anterior and superior, as nearly as they do.

    Attributes:
        axes: Axis of the array along which each new axis runs.
        flips: Whether each new axis runs against it.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @classmethod
    def of(cls, geometry: Geometry) -> Self:
        """The order of a grid's axes."""
        first, second, third = geometry.reoriented("RAS").axis_maps(geometry)
        maps = (first, second, third)
        i, j, k = (one.source_axis for one in maps)
        return cls((i, j, k), (maps[0].scale < 0, maps[1].scale < 0, maps[2].scale < 0))

    @classmethod
    def of_picture(cls) -> Self:
        """The order in which a picture is shown on axes that grow to the right and upwards."""
        return cls((0, 1, 2), (False, True, False))

    def view(self, array: Array) -> Array:
        """A view of an array of shape `(I, J, K)` along the new axes."""
        return array.transpose(self.axes)[self._slices]

    def back(self, array: Array) -> Array:
        """The view of an array along the new axes that has the old ones."""
        old_axes = sorted(range(3), key=self.axes.__getitem__)
        return array[self._slices].transpose(old_axes)

    @property
    def _slices(self) -> tuple[slice, slice, slice]:
        i, j, k = (slice(None, None, -1 if is_flipped else 1) for is_flipped in self.flips)
        return i, j, k
