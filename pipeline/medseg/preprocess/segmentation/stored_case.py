"""A case prepared for segmentation, in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from medseg.configuration import parse_config
from medseg.geometry import Geometry
from medseg.preprocess.body import slices_of, whole_box
from medseg.preprocess.entry import reading_entry, write_entry
from medseg.preprocess.grid import Box, part_of
from medseg.preprocess.segmentation.case_facts import CaseFacts
from medseg.preprocess.store import compact, open_array, write_array
from medseg.records import Array, Labelmap

STORE_FORMAT = 4
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
        box: Voxels of the scan that the network sees; None if it sees them all.
        outside: Voxel count of each label value outside of that box, where there are any.
        facts: Facts about the scan as it was read and its label; None where they were not taken.
        unannotated: Labels or regions that were not annotated in this case.
        readings: Voxel count of each label value in what each rater drew, on the network's grid; empty without raters.
        reading: Number of the rater whose label this is; None for the reference.
    """

    case_id: str
    folder: Path
    shape: tuple[int, int, int]
    grid: Geometry
    native: Geometry
    voxels: dict[int, int]
    constant_channels: tuple[int, ...] = ()
    box: Box | None = None
    outside: Mapping[int, int] = field(default_factory=dict)
    facts: CaseFacts | None = None
    unannotated: tuple[str, ...] = ()
    readings: tuple[dict[int, int], ...] = ()
    reading: int | None = None

    def as_read_by(self, number: int) -> StoredCase:
        """The case with what one of its raters drew as the label on the network's grid.

        Args:
            number: Number of the rater, from 0 in the order of the manifest.
        """
        return replace(self, voxels=self.readings[number], reading=number)

    @property
    def seen(self) -> Geometry:
        """Grid of the part of the scan that the network sees."""
        return part_of(self.native, self.box) if self.box else self.native

    def on_native(self, part: Array, blank: Array) -> Array:
        """A mask of the part that the network sees on the scan's grid.

        Args:
            part: Mask on the grid `seen`.
            blank: Mask of background on the scan's grid, which is filled where a part alone was seen.
        """
        if self.box is None:
            return part
        blank[(..., *slices_of(self.box))] = part
        return blank

    def image(self) -> Any:
        """The image `(C, I, J, K)`, float16 or float32; slicing reads only the chunks that are needed."""
        return open_array(self.folder / "image.b2nd", case_id=self.case_id)

    def label(self) -> Any:
        """The label `(I, J, K)` on the network's grid; slicing as for the image."""
        return open_array(self.folder / f"{_label_name(self.reading)}.b2nd", case_id=self.case_id)

    def native_label(self) -> Labelmap:
        """The reference on the scan's grid."""
        path = self.folder / "native_label.b2nd"
        path = path if path.exists() else self.folder / "label.b2nd"
        return np.asarray(open_array(path, case_id=self.case_id)[...])

    def foreground(self) -> Array:
        """Sampled labelled voxels, int32 of shape `(N, 4)`: value, i, j, k."""
        with _READING_NPY:
            return np.asarray(np.load(self.folder / f"{_foreground_name(self.reading)}.npy", allow_pickle=False))


def save_case(
    folder: Path,
    *,
    image: Array,
    label: Labelmap,
    native_label: Labelmap,
    foreground: Array,
    grid: Geometry,
    native: Geometry,
    box: Box | None = None,
    facts: CaseFacts | None = None,
    readings: Sequence[tuple[Labelmap, Array]] = (),
) -> None:
    """Write a prepared case; the folder appears whole or not at all.

    Args:
        folder: Folder of the entry.
        image: Image on the network's grid, `(C, I, J, K)`.
        label: Reference on the network's grid.
        native_label: Reference on the scan's grid.
        foreground: Sampled labelled voxels of the reference, `(N, 4)`.
        grid: The network's grid.
        native: The scan's grid.
        box: Voxels of the scan that the network sees; None if it sees them all.
        facts: Facts about the scan and the reference.
        readings: What each rater drew, on the network's grid, and sampled labelled voxels of it.
    """
    content: dict[str, Any] = {
        "format": STORE_FORMAT,
        "grid": {"shape": grid.shape, "affine": grid.affine.tolist()},
        "native": {"shape": native.shape, "affine": native.affine.tolist()},
        "voxels": _voxels(label),
        "constant_channels": [index for index, channel in enumerate(image) if channel.min() == channel.max()],
    }
    if box is not None and box != whole_box(native.shape):
        content["box"] = [[extent.start, extent.stop] for extent in box]
        content["outside"] = _outside(native_label, box)
    if facts is not None:
        content["facts"] = facts.model_dump(mode="json")
    if readings:
        content["readings"] = [_voxels(drawn) for drawn, _ in readings]

    def write_arrays(target: Path) -> None:
        write_array(target / "image.b2nd", compact(image))
        write_array(target / "label.b2nd", label)
        if not np.array_equal(label, native_label):
            write_array(target / "native_label.b2nd", native_label)
        np.save(target / "foreground.npy", foreground.astype(np.int32), allow_pickle=False)
        for number, (drawn, sampled) in enumerate(readings):
            write_array(target / f"{_label_name(number)}.b2nd", drawn)
            np.save(target / f"{_foreground_name(number)}.npy", sampled.astype(np.int32), allow_pickle=False)

    write_entry(folder, _FACTS, content, write_arrays)


def open_case(folder: Path, *, case_id: str, unannotated: tuple[str, ...] = ()) -> StoredCase:
    """Open a prepared case, and every array of it.

    Args:
        folder: Folder of the entry.
        case_id: Id of the case.
        unannotated: Labels or regions that were not annotated in this case.

    Raises:
        ScanError: If the folder is damaged.
    """
    with reading_entry(folder, _FACTS, case_id=case_id) as content:
        grid, native = (
            Geometry(tuple(content[name]["shape"]), np.array(content[name]["affine"])) for name in ("grid", "native")
        )
        voxels = _counts(content["voxels"])
        readings = tuple(_counts(counts) for counts in content.get("readings", ()))
        constant = tuple(int(index) for index in content["constant_channels"])
        box = _box(content["box"]) if "box" in content else None
        outside = _counts(content.get("outside", {}))
        facts = parse_config(CaseFacts, content["facts"], source=_FACTS) if "facts" in content else None
        case = StoredCase(
            case_id, folder, grid.shape, grid, native, voxels, constant, box, outside, facts, unannotated, readings
        )
        for one in (case, *(case.as_read_by(number) for number in range(len(readings)))):
            one.foreground()
            one.label()
    for path in {folder / "image.b2nd", folder / "label.b2nd", *folder.glob("*.b2nd")}:
        open_array(path, case_id=case_id)
    return case


def _label_name(reading: int | None) -> str:
    """Name of the array of the reference, or of a rater's label."""
    return "label" if reading is None else f"reading_{reading}"


def _foreground_name(reading: int | None) -> str:
    """Name of the array of its sampled voxels."""
    return "foreground" if reading is None else f"foreground_{reading}"


def _voxels(label: Labelmap) -> dict[int, int]:
    """Voxel count of each value of a label."""
    values, counts = np.unique(label, return_counts=True)
    return {int(value): int(count) for value, count in zip(values, counts, strict=True)}


def _counts(content: Mapping[str, Any]) -> dict[int, int]:
    """Voxel counts by value, as they stand in a file."""
    return {int(value): int(count) for value, count in content.items()}


def _outside(label: Labelmap, box: Box) -> dict[int, int]:
    """Voxel count of each label value above 0 outside of a box."""
    left = label.copy()
    left[slices_of(box)] = 0
    values, counts = np.unique(left[left > 0], return_counts=True)
    return {int(value): int(count) for value, count in zip(values, counts, strict=True)}


def _box(ends: Sequence[Sequence[int]]) -> Box:
    i, j, k = (range(int(start), int(stop)) for start, stop in ends)
    return i, j, k
