"""The part of a grid that a structure fills in label and mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.records import Array, Labelmap, Mask

Slices = tuple[slice, ...]


class StructureBoxes:
    """The boxes of all values of a label and a mask, found in one pass over each."""

    def __init__(self, label: Labelmap, mask: Labelmap) -> None:
        self._arrays = (label, mask)
        self._boxes = [_boxes(array) for array in self._arrays]

    def around(self, values: Sequence[int]) -> Slices | None:
        """The smallest box around all voxels of some values in label and mask; None if there are none."""
        boxes = [found[value] for found in self._boxes for value in values if value in found]
        if not boxes:
            return None
        sides = zip(*boxes, strict=True)
        return tuple(slice(min(s.start for s in side), max(s.stop for s in side)) for side in sides)

    def masks(self, values: Sequence[int], box: Slices) -> tuple[Mask, Mask]:
        """Where label and mask hold one of some values, inside a box."""
        label, mask = (_holds(array[box], values) for array in self._arrays)
        return label, mask


def _boxes(array: Labelmap) -> dict[int, Slices]:
    """The box of each value above 0."""
    from scipy.ndimage import find_objects

    numbers = array.astype(np.uint8) if array.dtype == bool else array
    return {value: box for value, box in enumerate(find_objects(numbers), start=1) if box is not None}


def _holds(array: Array, values: Sequence[int]) -> Mask:
    held: Mask = array == values[0]
    for value in values[1:]:
        held |= array == value
    return held
