"""A case with quantities, in the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medseg.geometry import Geometry
from medseg.preprocess.entry import reading_entry, write_entry
from medseg.preprocess.store import open_array, write_array
from medseg.records import Array

STORE_FORMAT = 1
_FACTS = "quantities.json"
_NATIVE = "native_values.b2nd"


@dataclass(frozen=True, slots=True)
class StoredValues:
    """A prepared case in the store; all numbers are in single precision, as they were read.

    Attributes:
        case_id: Id of the case.
        folder: Folder of the entry, with the arrays and `quantities.json`.
        grid: The network's grid.
        native: The scan's grid.
        unknown: Share of the scan's voxels in which each quantity is not known.
        image_sha256: Digest of the scan's intensities.
        values_sha256: Digest of the quantities.
    """

    case_id: str
    folder: Path
    grid: Geometry
    native: Geometry
    unknown: tuple[float, ...]
    image_sha256: str
    values_sha256: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the network's grid."""
        return self.grid.shape

    def image(self) -> Any:
        """The image `(C, I, J, K)`, float32; slicing reads only the chunks that are needed."""
        return open_array(self.folder / "image.b2nd", case_id=self.case_id)

    def values(self) -> Any:
        """The quantities `(Q, I, J, K)` in units on the network's grid, float32; slicing as for the image."""
        return open_array(self.folder / "values.b2nd", case_id=self.case_id)

    def native_values(self) -> Array:
        """The quantities `(Q, I, J, K)` in units on the scan's grid."""
        path = self.folder / _NATIVE
        path = path if path.exists() else self.folder / "values.b2nd"
        return np.asarray(open_array(path, case_id=self.case_id)[...])

    def centres(self) -> Array:
        """Sampled known voxels, int32 of shape `(N, 4)`: 1 for those with unusual values or else 0, i, j, k."""
        return np.asarray(open_array(self.folder / "centres.b2nd", case_id=self.case_id)[...])


def save_values(
    folder: Path, *, image: Array, values: Array, native_values: Array, centres: Array, facts: dict[str, Any]
) -> None:
    """Write a prepared case; the folder appears whole or not at all.

    Args:
        folder: Folder of the entry.
        image: Image `(C, I, J, K)` on the network's grid.
        values: Quantities on the network's grid.
        native_values: Quantities on the scan's grid.
        centres: Sampled voxels, as `StoredValues.centres` gives them.
        facts: Grids, unknown shares and digests, as `open_values` reads them.
    """

    def write_arrays(target: Path) -> None:
        write_array(target / "image.b2nd", image.astype(np.float32, copy=False))
        write_array(target / "values.b2nd", values)
        if not np.array_equal(values, native_values, equal_nan=True):
            write_array(target / _NATIVE, native_values)
        write_array(target / "centres.b2nd", centres.astype(np.int32))

    write_entry(folder, _FACTS, {"format": STORE_FORMAT, **facts}, write_arrays)


def grid_facts(grid: Geometry) -> dict[str, Any]:
    """A grid as the facts of an entry hold it."""
    return {"shape": grid.shape, "affine": grid.affine.tolist()}


def open_values(folder: Path, *, case_id: str) -> StoredValues:
    """Open a prepared case, and every array of it.

    Raises:
        ScanError: If the folder is damaged.
    """
    with reading_entry(folder, _FACTS, case_id=case_id) as content:
        grid, native = (
            Geometry(tuple(content[name]["shape"]), np.array(content[name]["affine"])) for name in ("grid", "native")
        )
        unknown = tuple(float(share) for share in content["unknown"])
        case = StoredValues(
            case_id, folder, grid, native, unknown, str(content["image_sha256"]), str(content["values_sha256"])
        )
    for path in {folder / "image.b2nd", folder / "values.b2nd", folder / "centres.b2nd", *folder.glob("*.b2nd")}:
        open_array(path, case_id=case_id)
    return case
