"""What the table of measurements says."""

from __future__ import annotations

import csv
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from medseg.delivery.certificate.contents import Expected, Number
from medseg.delivery.certificate.measured_again import MeasuredAgain
from medseg.scans.statements import Key, Statements
from medseg.scans.structure_measurements import StructureMeasurements

_ROUNDED = 1e-5  # relative, of six digits


def expected_table(measured: MeasuredAgain) -> Expected:
    """What the table must say, by the mask that was read back."""
    channels = max((len(row.intensities) for row in measured.structures), default=0)
    said: dict[Key, str | Number] = {}
    for row in measured.structures:
        subject = f"segment {row.number}"
        said[subject, "structure"] = row.name
        said[subject, "voxels"] = Number(row.voxels, 0)
        said |= {(subject, what): number for what, number in _sizes(row, measured) if number is not None}
        said |= {(subject, what): Number(float(index), 0) for what, index in _indices(row)}
        if row.unit:
            said[subject, "intensity_unit"] = row.unit
        for channel, one in enumerate(row.intensities, start=1):
            suffix = "" if channels == 1 else f"_{channel}"
            for name in ("mean", "sd", "median") if one is not None else ():
                said[subject, f"intensity_{name}{suffix}"] = measured.near(getattr(one, name), _ROUNDED)
    return said


def read_table(path: Path) -> Statements:
    """Read the table: a row for each structure, by its segment number.

    Raises:
        ValueError: If the file is damaged, rows have other numbers of fields than the head, or two columns one name.
        LookupError: If there is no column of segment numbers.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        try:
            head, *rows = list(csv.reader(stream, strict=True))
        except csv.Error as error:
            raise ValueError("a table must be whole, got damage") from error
    if len(set(head)) < len(head):
        raise ValueError("columns must have names of their own, got one of two")
    said: dict[Key, str | float] = {}
    for row in rows:
        fields = dict(zip(head, row, strict=True))
        subject = f"segment {fields.pop('segment')}"
        while any(key[0] == subject for key in said):
            subject += " again"
        said |= {(subject, what): cell for what, cell in fields.items() if cell}
    return Statements(library=f"csv of Python {platform.python_version()}", values=said)


def _sizes(row: StructureMeasurements, measured: MeasuredAgain) -> Iterator[tuple[str, Number | None]]:
    yield "volume_ml", measured.near_volume(row.volume_ml)
    for what, value in (
        ("longest_diameter_mm", row.longest_mm),
        ("longest_diameter_in_slice_mm", row.in_slice_mm),
        ("perpendicular_diameter_in_slice_mm", row.perpendicular_mm),
    ):
        yield what, None if value is None else measured.near(value, _ROUNDED)
    for axis, value in zip("ras", row.centroid_mm or (), strict=bool(row.centroid_mm)):
        yield f"centroid_{axis}_mm", measured.near_place(value)


def _indices(row: StructureMeasurements) -> Iterator[tuple[str, int]]:
    if row.slice_index is not None:
        yield "slice_k", row.slice_index
    ends: Sequence[tuple[str, tuple[int, int, int] | None]] = (("first", row.first_voxel), ("last", row.last_voxel))
    for end, voxel in ends:
        for axis, index in zip("ijk", voxel or (), strict=bool(voxel)):
            yield f"{end}_{axis}", index
