"""Values of channels on a grid, plane by plane, as networks give them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from torch import Tensor

from medseg.geometry import Geometry
from medseg.inference.segmentation.mask_model import PreparedMask
from medseg.preprocess import Box
from medseg.targets import VoxelTarget


class ValuePlanes(NamedTuple):
    """Values on a grid, as they are finished.

    Attributes:
        chunks: Values `(channels, I, J, K)`: parts of the grid along the axis, in rising order, without gaps.
        grid: Grid of all chunks together.
        axis: Axis of the grid along which the chunks follow each other.
        target: Meaning of the values, which says how they are decided.
    """

    chunks: Iterable[Tensor]
    grid: Geometry
    axis: int
    target: VoxelTarget


class PreparedMember(PreparedMask, Protocol):
    """A prepared scan whose values can be averaged with those of others.

    Attributes:
        shape: Voxels of the whole scan.
        box: Voxels of the scan that the model draws; ranges are empty where there are none.
        native: Grid of the box; not set where the box is empty.
        needed_bytes: Memory that drawing takes.
    """

    shape: tuple[int, int, int]
    box: Box
    native: Geometry
    needed_bytes: int

    def planes(self) -> ValuePlanes:
        """Values of what is drawn; to be called once, and not where the box is empty."""
