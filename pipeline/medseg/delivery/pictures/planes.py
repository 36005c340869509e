"""Planes of a RAS volume."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from medseg.geometry import Geometry
from medseg.records import Array, Mask

_LETTER_PLACES = ((0.01, 0.5), (0.97, 0.5), (0.49, 0.96), (0.49, 0.01))


def cut_plane(volume: Array, axis: int, index: int) -> Array:
    """A plane of a RAS volume as rows and columns: right or anterior on the left, anterior or superior on top."""
    # Not np.take, which copies a volume that is not contiguous first.
    plane: Array = volume[(slice(None),) * axis + (index,)]
    return plane.T[::-1, ::-1]


def best_slices(masks: Iterable[Mask], shape: Sequence[int]) -> list[int]:
    """The slice along each axis that shows most of all structures; a structure's area counts relative to its largest.

    Args:
        masks: Mask of each structure; taken one after the other, so that a generator saves memory.
        shape: Shape of the masks, `(I, J, K)`.

    Returns:
        Index along each axis; the middle slices if all masks are empty.
    """
    shares = [np.zeros(n) for n in shape]
    for mask in masks:
        areas = [mask.sum(axis=others) for others in ((1, 2), (0, 2), (0, 1))]
        if areas[0].any():
            shares = [share + area / area.max() for share, area in zip(shares, areas, strict=True)]
    return [int(share.argmax()) if share.any() else len(share) // 2 for share in shares]


def pixel_aspect(grid: Geometry, cut: int) -> float:
    """Height over width of a pixel of the plane across an axis of a RAS grid."""
    width, height = (spacing for axis, spacing in enumerate(grid.spacing_mm) if axis != cut)
    return height / width


def mark_sides(axis: Any, letters: str) -> None:
    """Write the letters of the patient's sides at the left, right, top and bottom edge, readable on any ground."""
    from matplotlib.patheffects import withStroke

    rim = [withStroke(linewidth=2, foreground="black")]
    for letter, (x, y) in zip(letters, _LETTER_PLACES, strict=True):
        axis.text(x, y, letter, color="white", transform=axis.transAxes, fontsize=9, path_effects=rim)
