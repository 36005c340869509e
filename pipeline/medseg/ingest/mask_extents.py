"""Size and place of each value of a mask."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from medseg.geometry import Geometry
from medseg.records import Labelmap
from medseg.scans.dicom import Extent

_LARGEST = 65535  # beyond it a list of all numbers up to the largest value is too long
_PART = 1 << 20  # voxels
_TO_LPS = np.array([-1.0, -1.0, 1.0])


def mask_extents(mask: Labelmap, grid: Geometry) -> dict[int, Extent]:
    """Voxels and box in LPS+ millimetres of each value but 0, in rising order; the extents have no names yet.

    Args:
        mask: Label values of shape `(I, J, K)`.
        grid: Grid of the mask.
    """
    from scipy import ndimage

    if mask.size and int(mask.max()) > _LARGEST:
        values, places = np.unique(mask, return_inverse=True)
        mask, known = places.reshape(mask.shape).astype(np.uint16), [int(value) for value in values]
        if known[0] != 0:
            mask, known = mask + 1, [0, *known]
    else:
        known = list(range(int(mask.max(initial=0)) + 1))
    counts = np.zeros(len(known), np.int64)
    step = max(1, _PART * len(mask) // max(mask.size, 1))
    for first in range(0, len(mask), step):  # in parts, since bincount takes eight bytes per voxel
        counts += np.bincount(mask[first : first + step].ravel(), minlength=len(known))
    boxes = ndimage.find_objects(mask)
    return {
        known[place]: Extent("", float(counts[place]) * grid.voxel_ml, _box_mm(box, grid))
        for place, box in enumerate(boxes, start=1)
        if box is not None
    }


def _box_mm(box: tuple[slice, ...], grid: Geometry) -> npt.NDArray[np.float64]:
    corners = np.array(list(product(*((side.start, side.stop - 1) for side in box))))
    points = grid.world_mm(corners) * _TO_LPS
    return np.stack([points.min(axis=0), points.max(axis=0)])
