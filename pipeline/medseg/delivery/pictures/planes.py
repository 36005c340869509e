"""Planes of a RAS volume."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from medseg.records import Array, Mask


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
