"""The digest by which voxels are recognised, whatever their file, its compression or its number format."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from medseg.records import Array

_IMAGE, _LABEL = "<f4", "<i4"


def image_digest(array: Array) -> str:
    """SHA-256 of the shape and the intensities of a scan, `(C, I, J, K)`."""
    return _digest(array, _IMAGE)


def label_digest(array: Array) -> str:
    """SHA-256 of the shape and the values of a label, `(I, J, K)`."""
    return _digest(array, _LABEL)


def labels_digest(arrays: Sequence[Array]) -> str:
    """SHA-256 of a label, or of a label and those of several raters, `(I, J, K)` each."""
    digests = [label_digest(array) for array in arrays]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _digest(array: Array, kind: str) -> str:
    """The digest, plane by plane, so that no second copy of a large scan is made."""
    found = hashlib.sha256(repr((array.shape, kind)).encode())
    for part in array.reshape(-1, *array.shape[-2:]):
        found.update(np.ascontiguousarray(part, dtype=kind).data)
    return found.hexdigest()
