"""Objects of a mask: their numbers, their boxes, and how many of them were found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from medseg.evaluation.segmentation.same_grid import check_same_shape
from medseg.records import Array, Labelmap, Mask


class Detection(NamedTuple):
    """Counts of found and missed objects.

    Attributes:
        found: Number of objects of the label that an object of the mask matches.
        missed: Number of objects of the label that none matches.
        false: Number of objects of the mask that match none.
        mean_iou: Mean IoU of the matched pairs; NaN without any.
    """

    found: int
    missed: int
    false: int
    mean_iou: float

    @property
    def f1(self) -> float:
        """Found objects over the mean number of objects of label and mask; NaN where neither has any."""
        objects = 2 * self.found + self.missed + self.false
        return 2 * self.found / objects if objects else float("nan")


def instances(mask: Mask) -> Labelmap:
    """Number the connected parts of a mask from 1; voxels that share a face, an edge or a corner belong together.

    Args:
        mask: Mask, bool, shape `(I, J, K)`.

    Returns:
        Number of the object at each voxel, int32 of the same shape; 0 outside.
    """
    from scipy.ndimage import label

    numbered, _ = label(mask, structure=np.ones((3,) * mask.ndim))
    return np.asarray(numbered, dtype=np.int32)


def boxes(objects: Labelmap) -> Array:
    """The smallest box of each object.

    Args:
        objects: Objects numbered from 1, shape `(I, J, K)`.

    Returns:
        First voxel and one past the last along each axis, `(N, 6)` as `i0, j0, k0, i1, j1, k1`.
    """
    from scipy.ndimage import find_objects

    sides = [found for found in find_objects(objects) if found is not None]
    corners = [[*(side.start for side in one), *(side.stop for side in one)] for one in sides]
    return np.array(corners, dtype=np.int64).reshape(-1, 2 * objects.ndim)


def box_iou(first: Array, second: Array) -> Array:
    """IoU of every box with every other: `(N, 6)` and `(M, 6)` as `boxes` gives them become `(N, M)`."""
    from monai.data.box_utils import box_iou as monai_box_iou

    return np.asarray(monai_box_iou(first.astype(np.float64), second.astype(np.float64)))


def detect(label: Labelmap, mask: Labelmap, *, match_iou: float = 0.5) -> Detection:
    """Match objects of label and mask with an IoU above a half or more; no object can have two matches then.

    Args:
        label: Objects of the reference numbered from 1, shape `(I, J, K)`.
        mask: Objects of the prediction numbered from 1, on the same grid.
        match_iou: IoU above which two objects match, at least one half.

    Raises:
        GeometryError: If the shapes differ.

    Source: Kirillov et al. 2019, https://arxiv.org/abs/1801.00868, section 4.1.
    """
    check_same_shape(label, mask)
    labels, label_voxels = np.unique(label[label > 0], return_counts=True)
    masks, mask_voxels = np.unique(mask[mask > 0], return_counts=True)
    both = (label > 0) & (mask > 0)
    base = int(mask.max(initial=0)) + 1
    pairs, shared = np.unique(label[both].astype(np.int64) * base + mask[both], return_counts=True)
    whole = label_voxels[np.searchsorted(labels, pairs // base)] + mask_voxels[np.searchsorted(masks, pairs % base)]
    iou = shared / (whole - shared)
    matched = iou[iou > match_iou]
    found = len(matched)
    return Detection(found, len(labels) - found, len(masks) - found, float(matched.mean()) if found else float("nan"))
