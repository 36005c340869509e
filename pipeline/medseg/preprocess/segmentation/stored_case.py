"""A case prepared for segmentation, in the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from medseg.atomic import atomic_path
from medseg.errors import DeliveryError, PipelineError, ScanError
from medseg.geometry import Geometry
from medseg.preprocess.store import check_sums, compact, damaged_entry, file_sums, open_array, write_array
from medseg.records import Array, Labelmap

STORE_FORMAT = 2


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
