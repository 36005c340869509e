"""A picture of what a mask has wrong: voxels that it misses, adds or takes for something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medseg.delivery.segmentation.case_planes import Painting, save_case_planes
from medseg.records import Array, Labelmap, Scan
from medseg.targets import VoxelTarget

MISSED, ADDED, CONFUSED = "#ffb000", "#40b0ff", "#ff5fa2"
_KINDS = (("missed", MISSED), ("added", ADDED), ("another structure", CONFUSED))
_OPACITY = 0.65


def save_error_map(scan: Scan, label: Labelmap, mask: Labelmap, path: Path, *, target: VoxelTarget, title: str) -> None:
    """Write a PNG in which every wrong voxel is painted by the kind of its error.

    Volumes are cut where most voxels are wrong along each axis; pictures are shown whole.

    Args:
        scan: Image; its first channel is shown, or three channels of a picture as colours.
        label: Reference on the scan's grid.
        mask: Prediction on the same grid.
        path: Target file.
        target: Meaning of reference and mask.
        title: Title above the picture.
    """

    def errors(label: Labelmap, mask: Labelmap) -> list[Array]:
        return _errors(label, mask, target)

    def paint(axis: Any, label: Labelmap, mask: Labelmap) -> None:
        from matplotlib.colors import to_rgba

        colours = np.zeros((*label.shape, 4))
        for (_, colour), wrong in zip(_KINDS, errors(label, mask), strict=True):
            colours[wrong] = to_rgba(colour, _OPACITY)
        axis.imshow(colours, interpolation="nearest", aspect=axis.get_aspect())

    painting = Painting(paint=paint, shown=errors, legend=lambda: _KINDS, note="wrong voxels, by the kind of error")
    save_case_planes(scan, label, mask, path, painting=painting, title=title)


def _errors(label: Labelmap, mask: Labelmap, target: VoxelTarget) -> list[Array]:
    """Voxels that are missed, added, and of another structure."""
    in_label, in_mask, is_wrong = (np.zeros(label.shape, bool) for _ in range(3))
    for name in target.structures:
        reference, drawn = target.shows(label, name), target.shows(mask, name)
        in_label |= reference
        in_mask |= drawn
        is_wrong |= reference != drawn
    return [is_wrong & in_label & ~in_mask, is_wrong & in_mask & ~in_label, is_wrong & in_label & in_mask]
