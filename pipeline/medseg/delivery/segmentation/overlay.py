"""A picture of one case: image, reference and mask outlines in three planes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from medseg.delivery.charts import LABEL_COLOURS
from medseg.delivery.segmentation.case_planes import Painting, save_case_planes
from medseg.records import Array, Labelmap, Scan
from medseg.targets import VoxelTarget


def save_overlay(scan: Scan, label: Labelmap, mask: Labelmap, path: Path, *, target: VoxelTarget, title: str) -> None:
    """Write a PNG with the outlines of reference (solid) and mask (dashed) over the image.

    Volumes are cut through the middle of the labelled region along each axis; pictures are shown whole.

    Args:
        scan: Image; its first channel is shown, or three channels of a picture as colours.
        label: Reference on the scan's grid.
        mask: Prediction on the same grid.
        path: Target file.
        target: Meaning of reference and mask.
        title: Title above the picture.
    """
    names = target.structures
    painting = Painting(
        paint=partial(_draw_outlines, target=target),
        shown=partial(_labelled, target=target),
        legend=[(name, LABEL_COLOURS[n % len(LABEL_COLOURS)]) for n, name in enumerate(names)],
        note="solid: reference, dashed: mask",
    )
    save_case_planes(scan, label, mask, path, painting=painting, title=title)


def _labelled(label: Labelmap, mask: Labelmap, *, target: VoxelTarget) -> Iterator[Array]:
    """The structures of the reference, or of the mask where the reference has none."""
    drawn = label if label.any() else mask
    return (target.shows(drawn, name) for name in target.structures)


def _draw_outlines(axis: Any, label: Labelmap, mask: Labelmap, *, target: VoxelTarget) -> None:
    for index, name in enumerate(target.structures):
        colour = LABEL_COLOURS[index % len(LABEL_COLOURS)]
        for part, style in ((label, "solid"), (mask, "dashed")):
            inside = target.shows(part, name)
            if inside.any() and not inside.all():
                axis.contour(inside.astype(float), levels=[0.5], colors=[colour], linestyles=style, linewidths=1.3)
