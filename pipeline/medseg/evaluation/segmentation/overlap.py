"""Dice and IoU of every label of a case, on the grid of the given masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medseg.errors import GeometryError
from medseg.records import Array, CaseMetrics, Labelmap
from medseg.targets.value_counts import overlap_counts

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
    return region_overlap(label, mask, regions={name: (value,) for name, value in labels.items()}, case_id=case_id)


def region_overlap(
    label: Labelmap, mask: Labelmap, *, regions: Mapping[str, Sequence[int]], case_id: str
) -> list[CaseMetrics]:
    """Dice and IoU of structures that may overlap; undefined as in `overlap_metrics`.

    Args:
        label: Label values of the reference, shape `(I, J, K)`.
        mask: Label values of the prediction on the same grid.
        regions: Values that make up each structure.
        case_id: Id of the case.

    Raises:
        GeometryError: If the shapes differ.
    """
    check_same_grid(label, mask, case_id=case_id)
    counts = overlap_counts(label, mask, regions)
    return [
        CaseMetrics(case_id, name, _overlap(in_label, in_mask, both), label_voxels=in_label, mask_voxels=in_mask)
        for name, (in_label, in_mask, both) in counts.items()
    ]


def check_same_grid(label: Array, mask: Array, *, case_id: str) -> None:
    """Refuse a case whose mask has another shape than its label.

    Raises:
        GeometryError: If that is so.
    """
    if label.shape != mask.shape:
        raise GeometryError(f"mask must have the label's shape {label.shape}, got {mask.shape}", case_id=case_id)


def _overlap(label: int, mask: int, both: int) -> dict[str, float]:
    if label + mask == 0:
        return {"dice": NAN, "iou": NAN}
    return {"dice": 2 * both / (label + mask), "iou": both / (label + mask - both)}
