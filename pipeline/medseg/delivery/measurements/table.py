"""Measurements as a table that spreadsheets read."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from medseg.atomic import write_text
from medseg.scans.structure_measurements import StructureMeasurements

_DIGITS = 6  # significant digits of a value
_PLACE_DIGITS = 10  # of a coordinate, which may be large where voxels are small
_AXES = ("i", "j", "k")


def write_measurements_csv(rows: Sequence[StructureMeasurements], path: Path) -> None:
    """Write a line for every structure, whole or not at all.

    Columns name their units; those of intensities are in the column `intensity_unit`, and of several channels each has
    its own columns, numbered from 1. A field is blank where an empty structure has no value.

    Args:
        rows: Measurements of one case.
        path: Target file.

    Raises:
        DeliveryError: If it cannot be written.
    """
    channels = max((len(row.intensities) for row in rows), default=0)
    lines = [_fields(row, max(channels, 1)) for row in rows]
    text = StringIO()
    writer = csv.DictWriter(text, fieldnames=list(lines[0]) if lines else ["structure"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(path, text.getvalue())


def _fields(row: StructureMeasurements, channels: int) -> dict[str, str]:
    fields = {
        "structure": row.name,
        "segment": str(row.number),
        "voxels": str(row.voxels),
        "volume_ml": _number(row.volume_ml),
        "longest_diameter_mm": _number(row.longest_mm),
        "longest_diameter_in_slice_mm": _number(row.in_slice_mm),
        "perpendicular_diameter_in_slice_mm": _number(row.perpendicular_mm),
        "slice_k": "" if row.slice_index is None else str(row.slice_index),
    }
    for axis, name in enumerate(("r", "a", "s")):
        fields[f"centroid_{name}_mm"] = _number(row.centroid_mm and row.centroid_mm[axis], _PLACE_DIGITS)
    for end, voxel in (("first", row.first_voxel), ("last", row.last_voxel)):
        fields |= {f"{end}_{name}": "" if voxel is None else str(voxel[axis]) for axis, name in enumerate(_AXES)}
    return fields | _intensity_fields(row, channels)


def _intensity_fields(row: StructureMeasurements, channels: int) -> dict[str, str]:
    fields = {"intensity_unit": row.unit or ""}
    for channel in range(channels):
        known = row.intensities[channel] if channel < len(row.intensities) else None
        suffix = "" if channels == 1 else f"_{channel + 1}"
        for name in ("mean", "sd", "median"):
            fields[f"intensity_{name}{suffix}"] = _number(None if known is None else getattr(known, name))
    return fields


def _number(value: float | None, digits: int = _DIGITS) -> str:
    return "" if value is None else f"{value:.{digits}g}"
