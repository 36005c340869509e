"""A picture of one case: image, reference and mask outlines in three planes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medseg.delivery.segmentation.case_planes import LEGEND_ENTRIES, Painting, save_case_planes
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
    outlines = _Outlines(target)
    painting = Painting(
        paint=outlines.draw,
        shown=partial(_labelled, target=target),
        legend=outlines.legend,
        note="solid: reference, dashed: mask",
    )
    save_case_planes(scan, label, mask, path, painting=painting, title=title)


class _Outlines:
    """Outlines of structures on planes.

    Args:
        target: Meaning of reference and mask.
    """

    def __init__(self, target: VoxelTarget) -> None:
        self._target = target
        self._colours = {name: hex_code(colour) for name, colour in structure_colours(target.structures).items()}
        self._pixels: Counter[str] = Counter()

    def draw(self, axis: Any, label: Labelmap, mask: Labelmap) -> None:
        """Draw what the cuts of reference and mask show."""
        for name, colour in self._colours.items():
            for part, style in ((label, "solid"), (mask, "dashed")):
                inside = self._target.shows(part, name)
                if inside.any() and not inside.all():
                    _draw_outline(axis, inside, colour, style)
                    self._pixels[name] += int(inside.sum())

    def legend(self) -> list[tuple[str, str]]:
        """Every structure and its colour; where they are too many, those that were drawn, the largest first."""
        drawn = [name for name, _ in self._pixels.most_common()]
        names = self._colours if len(self._colours) <= LEGEND_ENTRIES else drawn
        return [(name, self._colours[name]) for name in names]


def _labelled(label: Labelmap, mask: Labelmap, *, target: VoxelTarget) -> Iterator[Array]:
    """The structures of the reference, or of the mask where the reference has none."""
    drawn = label if label.any() else mask
    return (target.shows(drawn, name) for name in target.structures)


def _draw_outline(axis: Any, inside: Array, colour: str, style: str) -> None:
    """Draw the outline of one structure; of its box alone, because a figure keeps what each outline is drawn from."""
    filled = (np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0)))
    i, j = (range(max(0, n[0] - 1), min(size, n[-1] + 2)) for n, size in zip(filled, inside.shape, strict=True))
    part = inside[i.start : i.stop, j.start : j.stop].astype(float)
    axis.contour(list(j), list(i), part, levels=[0.5], colors=[colour], linestyles=style, linewidths=1.3)
