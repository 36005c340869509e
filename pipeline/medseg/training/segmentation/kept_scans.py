"""Prepared scans held in memory, so that a GPU does not wait for them to be read again."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]  # it ships no types

from medseg.preprocess.segmentation import StoredCase
from medseg.records import Array
from medseg.training.ranks import processes_on_this_machine

_SHARE = 0.2  # of the memory that is free when the training begins, of all its processes together


class KeptScans:
    """Images and labels of the cases that are asked for first, whole, as many as the memory may take.

    The others are opened anew each time, and only what is asked of them is read. Threads may share one object.

    Args:
        most_bytes: Bytes that may be held; a fifth of what is free if not given, shared with the other processes of the
            training on this machine.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        if most_bytes is None:
            most_bytes = int(_SHARE * psutil.virtual_memory().available / processes_on_this_machine())
        self._free = most_bytes
        self._held: dict[tuple[str, int | None], tuple[Array, Array]] = {}
        self._images: dict[str, Array] = {}
        self._lock = Lock()

    def arrays(self, case: StoredCase) -> tuple[Any, Any]:
        """Image `(C, I, J, K)` and label `(I, J, K)` of a case, in memory or to be sliced from the store.

        An image is held once, with the labels of several raters beside it.

        Raises:
            ScanError: If the store's arrays cannot be read.
        """
        key = case.case_id, case.reading
        held = self._held.get(key)
        if held is not None:
            return held
        image, label = self._images.get(case.case_id), case.label()
        size = _bytes(label)
        if image is None:
            image = case.image()
            size += _bytes(image)
        with self._lock:
            if size > self._free:
                return image, label
            self._free -= size
        whole = np.asarray(image[...]), np.asarray(label[...])
        with self._lock:
            if key in self._held:  # by another thread at the same time
                self._free += size
            kept = self._held.setdefault(key, whole)
            self._images.setdefault(case.case_id, kept[0])
            return kept


def _bytes(array: Any) -> int:
    return int(np.prod(array.shape)) * int(array.dtype.itemsize)
