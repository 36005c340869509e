"""Prepared cases on disk: chunked, compressed arrays that training reads crops from."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from medseg.atomic import atomic_path
from medseg.errors import DeliveryError, PipelineError, ScanError
from medseg.geometry import Geometry
from medseg.records import Array, Labelmap

STORE_FORMAT = 2
_CHUNK = 64
# NumPy parses the header with `ast`, which fails now and then where two threads of Python 3.11 do so at a time.
_READING_NPY = Lock()


@dataclass(frozen=True, slots=True)
class StoredCase:
    """A prepared case in the store.

    Attributes:
        case_id: Which case.
        folder: `store/<key>`; holds the arrays and `case.json`.
        shape: Voxels of the network's grid.
        grid: The network's grid.
        native: The scan's grid.
        voxels: Voxel count of each label value on the network's grid.
    """

    case_id: str
    folder: Path
    shape: tuple[int, int, int]
    grid: Geometry
    native: Geometry
    voxels: dict[int, int]

    def image(self) -> Any:
        """The image `(C, I, J, K)`, float16 or float32; slicing reads only the chunks that are needed."""
        return open_array(self.folder / "image.b2nd", case_id=self.case_id)

    def label(self) -> Any:
        """The label `(I, J, K)` on the network's grid; slicing as for the image."""
        return open_array(self.folder / "label.b2nd", case_id=self.case_id)

    def native_label(self) -> Labelmap:
        """The reference on the scan's grid."""
        path = self.folder / "native_label.b2nd"
        path = path if path.exists() else self.folder / "label.b2nd"
        return np.asarray(open_array(path, case_id=self.case_id)[...])

    def foreground(self) -> Array:
        """Sampled labelled voxels, int32 of shape `(N, 4)`: value, i, j, k."""
        with _READING_NPY:
            return np.asarray(np.load(self.folder / "foreground.npy", allow_pickle=False))


def save_case(
    folder: Path,
    *,
    image: Array,
    label: Labelmap,
    native_label: Labelmap,
    foreground: Array,
    grid: Geometry,
    native: Geometry,
) -> None:
    """Write a prepared case; the folder appears whole or not at all."""
    values, counts = np.unique(label, return_counts=True)
    facts: dict[str, Any] = {
        "format": STORE_FORMAT,
        "grid": {"shape": grid.shape, "affine": grid.affine.tolist()},
        "native": {"shape": native.shape, "affine": native.affine.tolist()},
        "voxels": {int(value): int(count) for value, count in zip(values, counts, strict=True)},
    }
    try:
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            write_array(temporary / "image.b2nd", compact(image))
            write_array(temporary / "label.b2nd", label)
            if not np.array_equal(label, native_label):
                write_array(temporary / "native_label.b2nd", native_label)
            np.save(temporary / "foreground.npy", foreground.astype(np.int32), allow_pickle=False)
            facts["sha256"] = file_sums(temporary)
            (temporary / "case.json").write_text(json.dumps(facts), encoding="utf-8")
    except DeliveryError:
        if not (folder / "case.json").exists():  # else another process wrote the same content first
            raise


def open_case(folder: Path, *, case_id: str) -> StoredCase:
    """Open a prepared case, and every array of it.

    Raises:
        ScanError: If the folder is damaged.
    """
    try:
        facts = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        check_sums(folder, facts["sha256"])
        grid, native = (
            Geometry(tuple(facts[name]["shape"]), np.array(facts[name]["affine"])) for name in ("grid", "native")
        )
        voxels = {int(value): int(count) for value, count in facts["voxels"].items()}
        case = StoredCase(case_id, folder, grid.shape, grid, native, voxels)
        case.foreground()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, PipelineError) as error:
        raise ScanError(f"case {case_id}: {damaged_entry(folder, error)}") from error
    for path in {folder / "image.b2nd", folder / "label.b2nd", *folder.glob("*.b2nd")}:
        open_array(path, case_id=case_id)
    return case


def file_sums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of an entry, by its name: a byte that turns on a disk is other voxels without a word."""
    return {path.name: _sum_of(path) for path in sorted(folder.iterdir())}


def check_sums(folder: Path, sums: dict[str, str]) -> None:
    """Hold the files of an entry to what was written.

    Raises:
        ValueError: If one is missing or another.
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
    """Write an array in compressed chunks; by default 64 voxels along each axis, and each channel apart."""
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
    """Open an array, of which slicing reads only the chunks that are needed.

    Raises:
        ScanError: If it is missing or damaged.
    """
    import blosc2

    try:
        return blosc2.open(str(path), mode="r", mmap_mode="r", dparams={"nthreads": 1})
    except (OSError, RuntimeError, ValueError) as error:
        raise ScanError(f"case {case_id}: {damaged_entry(path.parent, error)}") from error


def damaged_entry(folder: Path, error: Exception) -> str:
    """What is wrong with an entry, and the remedy."""
    return f"store entry {folder.name} must be whole, got: {error}; delete that folder"
