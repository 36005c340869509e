"""Some voxels of a mask, evenly spread over all of them."""

from __future__ import annotations

import numpy as np

from medseg.records import Array


def spread_voxels(where: Array, most: int) -> Array:
    """Voxels that are not 0, or so many of them, evenly spread in the order in which the last index changes fastest.

    Indices of all voxels would take eight bytes each, so those of one layer are held at a time.

    Args:
        where: Mask or label map `(I, J, K)`.
        most: Most voxels.

    Returns:
        int64 of shape `(N, 3)`, the index of each voxel along the axes.
    """
    where = np.ascontiguousarray(where)
    counts = np.array([np.count_nonzero(layer) for layer in where], np.int64)
    ends = np.cumsum(counts)
    total = int(counts.sum())
    ranks = np.linspace(0, total - 1, min(total, most)).astype(np.int64)
    layers = np.searchsorted(ends, ranks, side="right")
    parts = [np.zeros((0, where.ndim), np.int64)]
    for number in np.unique(layers):
        own = ranks[layers == number] - (ends[number] - counts[number])
        places = np.flatnonzero(where[number])[own]
        inside = np.unravel_index(places, where.shape[1:])
        parts.append(np.stack([np.full(len(own), number), *inside], axis=1))
    return np.concatenate(parts)
