"""Values that a map of labels holds."""

from __future__ import annotations

import numpy as np

from medseg.records import Labelmap

_VOXELS = 1 << 20  # that are counted at a time, since a count takes eight bytes each
_TABLE = 1 << 16  # values that are ticked off in a table; others are sorted, which is slower


def values_in(labels: Labelmap) -> tuple[int, ...]:
    """Values that a map holds, in rising order.

    Args:
        labels: Integers of shape `(I, J, K)`.
    """
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if high - low >= _TABLE:
        return tuple(int(value) for value in np.unique(labels))
    found = np.zeros(high - low + 1, bool)
    flat = labels.ravel(order="K")
    for start in range(0, flat.size, _VOXELS):
        counts = np.bincount(flat[start : start + _VOXELS].astype(np.int64) - low)
        found[: len(counts)] |= counts > 0
    return tuple(int(value) + low for value in np.flatnonzero(found))
