"""The three planes in which slices of a patient lie, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

Plane = Literal["axial", "coronal", "sagittal"]
Direction = Literal["R", "A", "S"]

_DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
_OPPOSITES = {"R": "L", "A": "P", "S": "I"}
ENDS: Mapping[Direction, tuple[str, str]] = MappingProxyType(
    {"R": ("left", "right"), "A": ("posterior", "anterior"), "S": ("inferior", "superior")}
)
"""Words for the two ends of a patient axis."""


@dataclass(frozen=True, slots=True)
class PlaneFacts:
    """Position of a plane's slices in a patient; world axes are 0 to 2 for R, A and S.

    Args:
        name: Name of the plane.
        axis: World axis along which slices follow each other.
    """

    name: Plane
    axis: int

    @property
    def picture_axes(self) -> tuple[int, int]:
        """World axes of a picture's two axes."""
        first, second = (axis for axis in range(3) if axis != self.axis)
        return first, second

    @property
    def direction(self) -> Direction:
        """Side of the patient towards which slices follow each other."""
        return _DIRECTIONS[self.axis]

    @property
    def axcodes(self) -> str:
        """Orientation of a grid with the picture's axes first and the axis along the slices last."""
        return "".join(_DIRECTIONS[axis] for axis in (*self.picture_axes, self.axis))

    @property
    def edges(self) -> str:
        """Letters at the left, right, top and bottom edge of a drawn slice.

        The patient's right is on the viewer's left, as radiologists look at scans.
        """
        sides = (_DIRECTIONS[axis] for axis in self.picture_axes)
        return "".join(side + _OPPOSITES[side] for side in sides)


PLANES: Mapping[Plane, PlaneFacts] = MappingProxyType(
    {facts.name: facts for facts in (PlaneFacts("axial", 2), PlaneFacts("coronal", 1), PlaneFacts("sagittal", 0))}
)
