"""What a library finds in a file that was written for other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medseg.geometry import Geometry
from medseg.records import Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """The structures of a file and where they lie, as one library reads them.

    Attributes:
        library: Name and version of the library, such as `nibabel 5.3.2`.
        geometry: Grid of the masks as that library gives it; it may cover a part of the scan's grid, and its axes may
            be turned against those of the scan.
        names: Names of the structures by the numbers that the file gives them; empty where its form has no names.
        numbers: Numbers of the structures that have voxels.
        mask: Gives the mask of a number, bool, of the geometry's shape. Masks are made one by one, so that a file of
            a hundred structures does not fill the memory.
        strays: Values of voxels that belong to no structure of the file.
    """

    library: str
    geometry: Geometry
    names: dict[int, str]
    numbers: tuple[int, ...]
    mask: Callable[[int], Mask]
    strays: tuple[int, ...] = ()
