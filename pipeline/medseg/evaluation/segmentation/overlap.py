"""Dice and IoU of every label of a case, on the grid of the given masks."""

from __future__ import annotations

import numpy as np

from medseg.errors import GeometryError
from medseg.records import Array, CaseMetrics, Labelmap, Mask

NAN = float("nan")


def overlap_metrics(label: Labelmap, mask: Labelmap, *, labels: dict[str, int], case_id: str) -> list[CaseMetrics]:
    """Dice and IoU per foreground label.

    Both are NaN for a label that is empty in the reference and in the mask, and 0 if it is empty in one of them.

    Args:
        label: Label values of the reference, shape `(I, J, K)`.
        mask: Label values of the prediction on the same grid.
        labels: Value of each foreground label by name.
        case_id: Id of the case.

    Raises:
        GeometryError: If the shapes differ.

    Source: Dice 1945, https://doi.org/10.2307/1932409; Jaccard 1912, https://doi.org/10.1111/j.1469-8137.1912.tb05611.x.
    """
    check_same_grid(label, mask, case_id=case_id)
    size = max(int(label.max(initial=0)), int(mask.max(initial=0)), *labels.values()) + 1
    in_label = np.bincount(label.ravel(), minlength=size)
    in_mask = np.bincount(mask.ravel(), minlength=size)
    in_both = np.bincount(label[label == mask].ravel(), minlength=size)
    return [
        CaseMetrics(
            case_id=case_id,
            label=name,
            values=_overlap(int(in_label[value]), int(in_mask[value]), int(in_both[value])),
            label_voxels=int(in_label[value]),
            mask_voxels=int(in_mask[value]),
        )
        for name, value in labels.items()
    ]


def check_same_grid(label: Array, mask: Array, *, case_id: str) -> None:
    """Refuse a case whose mask has another shape than its label.

    Raises:
        GeometryError: If that is so.
    """
    if label.shape != mask.shape:
        raise GeometryError(f"mask must have the label's shape {label.shape}, got {mask.shape}", case_id=case_id)


def region_overlap(label: Mask, mask: Mask, *, name: str, case_id: str) -> CaseMetrics:
    """Dice and IoU of one structure, which others may overlap; undefined as in `overlap_metrics`.

    Args:
        label: Voxels of the structure in the reference, bool, shape `(I, J, K)`.
        mask: Its voxels in the prediction, on the same grid.
        name: Name of the structure.
        case_id: Id of the case.
    """
    in_label, in_mask = int(label.sum()), int(mask.sum())
    values = _overlap(in_label, in_mask, int((label & mask).sum()))
    return CaseMetrics(case_id=case_id, label=name, values=values, label_voxels=in_label, mask_voxels=in_mask)


def _overlap(label: int, mask: int, both: int) -> dict[str, float]:
    if label + mask == 0:
        return {"dice": NAN, "iou": NAN}
    return {"dice": 2 * both / (label + mask), "iou": both / (label + mask - both)}
