"""A picture of one case: image, reference and mask outlines in three planes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from medseg.delivery.segmentation.case_planes import Painting, save_case_planes
from medseg.records import Array, Labelmap, Scan
from medseg.targets import VoxelTarget
from medseg.terms import hex_code, structure_colours


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
    colours = {name: hex_code(colour) for name, colour in structure_colours(target.structures).items()}
    painting = Painting(
        paint=partial(_draw_outlines, target=target, colours=colours),
        shown=partial(_labelled, target=target),
        legend=list(colours.items()),
        note="solid: reference, dashed: mask",
    )
    save_case_planes(scan, label, mask, path, painting=painting, title=title)


def _labelled(label: Labelmap, mask: Labelmap, *, target: VoxelTarget) -> Iterator[Array]:
    """The structures of the reference, or of the mask where the reference has none."""
    drawn = label if label.any() else mask
    return (target.shows(drawn, name) for name in target.structures)


def _draw_outlines(
    axis: Any, label: Labelmap, mask: Labelmap, *, target: VoxelTarget, colours: Mapping[str, str]
) -> None:
    for name, colour in colours.items():
        for part, style in ((label, "solid"), (mask, "dashed")):
            inside = target.shows(part, name)
            if inside.any() and not inside.all():
                axis.contour(inside.astype(float), levels=[0.5], colors=[colour], linestyles=style, linewidths=1.3)
