"""Prepared cases on disk: chunked, compressed arrays that training reads crops from."""

from __future__ import annotations

import errno
import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from medseg.errors import ScanError
from medseg.records import Array

_CHUNK = 64


def file_sums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of an entry by its name; without it, a byte that a disk changed would go unnoticed."""
    return {path.name: _sum_of(path) for path in sorted(folder.iterdir())}


def check_sums(folder: Path, sums: dict[str, str]) -> None:
    """Compare the files of an entry with what was written.

    Raises:
        ValueError: If a file differs.
        OSError: If a file is missing.
    """
    for name, expected in sums.items():
        if _sum_of(folder / name) != expected:
            raise ValueError(f"{name} is not as it was written")


def _sum_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def compact(image: Array) -> Array:
    """Half precision where the values fit: a quarter of a per mille of rounding, less than bfloat16's."""
    return image.astype(np.float16) if float(np.abs(image).max(initial=0)) < 6e4 else image.astype(np.float32)


def write_array(path: Path, array: Array, *, chunks: tuple[int, ...] | None = None) -> None:
    """Write an array in compressed chunks; by default 64 voxels along each axis, and one channel."""
    import blosc2

    if chunks is None:
        chunks = tuple(
            min(size, 1 if array.ndim == 4 and axis == 0 else _CHUNK) for axis, size in enumerate(array.shape)
        )
    parameters = {"codec": blosc2.Codec.ZSTD, "clevel": 3, "filters": [blosc2.Filter.BITSHUFFLE], "nthreads": 1}
    try:
        blosc2.asarray(np.ascontiguousarray(array), urlpath=str(path), mode="w", chunks=chunks, cparams=parameters)
    except RuntimeError as error:  # blosc2 does not say why; a full disk is the usual reason
        is_full = shutil.disk_usage(path.parent).free < array.nbytes
        raise OSError(errno.ENOSPC if is_full else errno.EIO, str(error)) from error


def open_array(path: Path, *, case_id: str) -> Any:
    """Open an array; slicing it reads only the chunks that are needed.

    Raises:
        ScanError: If it is missing or damaged.
    """
    import blosc2

    try:
        return blosc2.open(str(path), mode="r", mmap_mode="r", dparams={"nthreads": 1})
    except (OSError, RuntimeError, ValueError) as error:
        raise damaged_entry(path.parent, error, case_id=case_id) from error


def damaged_entry(folder: Path, error: Exception, *, case_id: str) -> ScanError:
    """The error of a case whose entry cannot be read."""
    fact = f"store entry {folder.name} must be whole, got: {error}"
    return ScanError(fact, remedy="delete that folder", case_id=case_id)
