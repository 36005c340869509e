"""Connected objects of a structure that were found, missed or made up."""

from __future__ import annotations

import numpy as np

from medseg.evaluation.segmentation.objects import Detection, detect, instances
from medseg.records import Labelmap, Mask

NAN = float("nan")
OBJECT_METRICS = (
    "objects_in_label",
    "objects_in_mask",
    "objects_found",
    "objects_false",
    "objects_sensitivity",
    "objects_f1",
    "objects_panoptic",
)
"""Names of the values that `object_metrics` gives."""


def object_metrics(label: Mask | Labelmap, mask: Mask | Labelmap, *, match_iou: float) -> dict[str, float]:
    """Count and match the objects of a structure.

    Objects are the connected parts of a mask (voxels that share a face, an edge or a corner), or the numbers of an
    array of numbered objects. An object of the mask finds one of the label if their IoU is above `match_iou`.

    Args:
        label: Reference, bool, or objects numbered from 1, shape `(I, J, K)`.
        mask: Prediction on the same grid.
        match_iou: IoU of a match, at least one half.

    Returns:
        `objects_in_label`, `objects_in_mask`, `objects_found`, `objects_false`; `objects_sensitivity`, found over those
        of the label (NaN without any); `objects_f1`, found over the mean of both counts, and `objects_panoptic`, the
        sum of the IoU of all pairs over the same mean (NaN if both are empty).

    Source: Kirillov et al. 2019, https://arxiv.org/abs/1801.00868.
    """
    found = detect(_numbered(label), _numbered(mask), match_iou=match_iou)
    in_label, in_mask = found.found + found.missed, found.found + found.false
    sensitivity = found.found / in_label if in_label else NAN
    counts = (in_label, in_mask, found.found, found.false)
    return dict(zip(OBJECT_METRICS, (*map(float, counts), sensitivity, found.f1, _panoptic(found)), strict=True))


def _panoptic(found: Detection) -> float:
    """Panoptic quality: the F1 times the mean IoU of the pairs."""
    if found.f1 != found.f1:
        return NAN
    return found.f1 * found.mean_iou if found.found else 0.0


def _numbered(part: Mask | Labelmap) -> Labelmap:
    return instances(np.asarray(part, dtype=bool)) if part.dtype == bool else np.asarray(part, dtype=np.int32)
