"""The voxels of a NIfTI file, scaled piece by piece while they are read, so that memory holds them once."""

from __future__ import annotations

import logging
import math
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from medseg.errors import ScanError
from medseg.records import Array
from medseg.scans.unpacked import open_unpacked

_PIECE = 1 << 20  # voxels; bytes where they are passed over
_LIKELY_RATIO = 32  # of packing; a file that promises more is counted before memory is taken for it
_log = logging.getLogger(__name__)


def read_voxels(image: Any, file: Path, *, is_label: bool, name: str, case_id: str) -> Array:
    """Scaled values: float32 of an image; of a label the stored type if it is not scaled, else float64.

    Args:
        image: NIfTI image of nibabel, of which only the header was read.
        file: File that holds its voxels; it is read to its end, checksum included.
        is_label: Whether the values are those of a label.
        name: Name of the file in messages.
        case_id: Id of the case, for errors.

    Returns:
        Array of the shape that the header gives, first axis fastest.

    Raises:
        ScanError: If the header promises more voxels than there are, before memory is taken for them.
        OSError, EOFError, zlib.error: If the file is damaged.
    """
    proxy = image.dataobj
    promised = int(proxy.offset) + math.prod(map(int, proxy.shape)) * proxy.dtype.itemsize
    stored = _most_bytes(file, promised)
    if min(proxy.shape, default=0) >= 1 and promised <= stored:
        voxels: Array = np.empty(proxy.shape, _value_type(proxy, is_label=is_label), order="F")
        stored = _fill(voxels.reshape(-1, order="F"), proxy, file)
        if promised < stored:
            _warn_of_more(stored - promised, name=name, case_id=case_id)
        if promised <= stored:
            return voxels
    raise ScanError(
        f"file {name} must be a whole NIfTI file of {image.shape} voxels in {promised} bytes, got {stored}",
        remedy="copy or export it again",
        case_id=case_id,
    )


def _value_type(proxy: Any, *, is_label: bool) -> np.dtype[Any]:
    if not is_label:
        return np.dtype(np.float32)
    is_scaled = (proxy.slope, proxy.inter) != (1, 0)
    return np.dtype(np.float64) if is_scaled else np.dtype(proxy.dtype).newbyteorder("=")


def _most_bytes(file: Path, promised: int) -> int:
    """Bytes of a file, unpacked; no less than `promised` where a packed file may well hold as many."""
    size = file.stat().st_size
    if not file.name.lower().endswith(".gz"):
        return size
    if 0 < promised <= size * _LIKELY_RATIO:
        return promised
    with open_unpacked(file) as stream:
        return _pass(stream)


def _fill(values: Array, proxy: Any, file: Path) -> int:
    """Fill a flat array with the scaled voxels of a file as far as it has them; the bytes of the file, unpacked."""
    itemsize = proxy.dtype.itemsize
    with open_unpacked(file) as stream:
        stored = _pass(stream, int(proxy.offset))
        filled = 0
        while filled < values.size and (content := stream.read(min(_PIECE, values.size - filled) * itemsize)):
            count = len(content) // itemsize
            values[filled : filled + count] = _scaled(content, count, proxy, values.dtype)
            filled, stored = filled + count, stored + len(content)
        return stored + _pass(stream)


def _scaled(content: bytes, count: int, proxy: Any, dtype: np.dtype[Any]) -> Array:
    """Stored voxels as nibabel scales them."""
    import nibabel  # noqa: F401 (whole before its parts: another thread may be importing it)
    from nibabel.arrayproxy import ArrayProxy

    piece = ArrayProxy(BytesIO(content), ((count,), proxy.dtype, 0, proxy.slope, proxy.inter))
    return np.asarray(piece, dtype=dtype)


def _pass(stream: BinaryIO, count: int | None = None) -> int:
    """Read up to `count` bytes, all that are left if not given, and drop them; their number."""
    passed = 0
    while content := stream.read(_PIECE if count is None else min(_PIECE, count - passed)):
        passed += len(content)
    return passed


def _warn_of_more(count: int, *, name: str, case_id: str) -> None:
    _log.warning(
        "case %s: file %s is %d bytes longer than its header promises; its voxels may be shifted", case_id, name, count
    )
