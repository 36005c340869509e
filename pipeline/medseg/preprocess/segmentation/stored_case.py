"""A case prepared for segmentation, in the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from medseg.geometry import Geometry
from medseg.preprocess.entry import reading_entry, write_entry
from medseg.preprocess.store import compact, open_array, write_array
from medseg.records import Array, Labelmap

STORE_FORMAT = 3
_FACTS = "case.json"


# NumPy parses the header with `ast`, which now and then fails when two threads of Python 3.11 do so at once.
_READING_NPY = Lock()


@dataclass(frozen=True, slots=True)
class StoredCase:
    """A prepared case in the store.

    Attributes:
        case_id: Id of the case.
        folder: Folder of the entry, `store/<key>`, with the arrays and `case.json`.
        shape: Voxels of the network's grid.
        grid: The network's grid.
        native: The scan's grid.
        voxels: Voxel count of each label value on the network's grid.
        constant_channels: Channels that hold one value everywhere, as where a missing sequence was filled in.
    """

    case_id: str
    folder: Path
    shape: tuple[int, int, int]
    grid: Geometry
    native: Geometry
    voxels: dict[int, int]
    constant_channels: tuple[int, ...] = ()

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
        "constant_channels": [index for index, channel in enumerate(image) if channel.min() == channel.max()],
    }

    def write_arrays(target: Path) -> None:
        write_array(target / "image.b2nd", compact(image))
        write_array(target / "label.b2nd", label)
        if not np.array_equal(label, native_label):
            write_array(target / "native_label.b2nd", native_label)
        np.save(target / "foreground.npy", foreground.astype(np.int32), allow_pickle=False)

    write_entry(folder, _FACTS, facts, write_arrays)


def open_case(folder: Path, *, case_id: str) -> StoredCase:
    """Open a prepared case, and every array of it.

    Raises:
        ScanError: If the folder is damaged.
    """
    with reading_entry(folder, _FACTS, case_id=case_id) as facts:
        grid, native = (
            Geometry(tuple(facts[name]["shape"]), np.array(facts[name]["affine"])) for name in ("grid", "native")
        )
        voxels = {int(value): int(count) for value, count in facts["voxels"].items()}
        constant = tuple(int(index) for index in facts["constant_channels"])
        case = StoredCase(case_id, folder, grid.shape, grid, native, voxels, constant)
        case.foreground()
    for path in {folder / "image.b2nd", folder / "label.b2nd", *folder.glob("*.b2nd")}:
        open_array(path, case_id=case_id)
    return case
