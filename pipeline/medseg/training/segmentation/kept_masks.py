"""Masks of the last validation, kept small in memory."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np

from medseg.records import Labelmap


class _Packed(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    box: tuple[slice, ...]
    content: bytes


class KeptMasks:
    """Masks by case: the box that holds labels, compressed; a volume of 72 million voxels takes about a megabyte."""

    def __init__(self) -> None:
        self._packed: dict[str, _Packed] = {}

    def keep(self, case_id: str, mask: Labelmap) -> None:
        """Keep a mask `(I, J, K)` in place of the case's last one."""
        box = tuple(_extent(mask, axis) for axis in range(mask.ndim))
        content = zlib.compress(np.ascontiguousarray(mask[box]).tobytes(), level=1)
        self._packed[case_id] = _Packed(mask.shape, mask.dtype, box, content)

    def add(self, others: KeptMasks) -> None:
        """Keep the masks of others too, each in place of the case's last one."""
        self._packed |= others._packed

    def __contains__(self, case_id: str) -> bool:
        return case_id in self._packed

    def __getitem__(self, case_id: str) -> Labelmap:
        """The mask as it was kept."""
        packed = self._packed[case_id]
        mask = np.zeros(packed.shape, packed.dtype)
        inside = np.frombuffer(zlib.decompress(packed.content), packed.dtype)
        mask[packed.box] = inside.reshape(mask[packed.box].shape)
        return mask


def _extent(mask: Labelmap, axis: int) -> slice:
    """From the first to the last labelled plane; nothing where there is none."""
    others = tuple(other for other in range(mask.ndim) if other != axis)
    filled = np.flatnonzero(mask.any(axis=others))
    return slice(int(filled[0]), int(filled[-1]) + 1) if len(filled) else slice(0, 0)
