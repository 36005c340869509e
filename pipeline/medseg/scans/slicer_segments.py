"""Segments that 3D Slicer names in the header of a `.seg.nrrd`, on one layer or, where they overlap, on several."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from medseg.errors import ScanError
from medseg.scans.itk import ITK_SUFFIXES, read_metadata

_DEFAULT_LAYER = "0"


class SlicerSegment(NamedTuple):
    """One segment of a `.seg.nrrd`.

    Attributes:
        name: Name of the segment.
        layer: Position of its layer among the channels of the file.
        value: Value of its voxels on that layer.
    """

    name: str
    layer: int
    value: int


def slicer_segments(path: Path) -> tuple[SlicerSegment, ...]:
    """The segments that a header names, in stored order; none for other files.

    Source: https://slicer.readthedocs.io, user guide, Segmentations, file format.
    """
    if not path.name.lower().endswith(ITK_SUFFIXES):
        return ()
    try:
        keys = read_metadata(path, case_id="label")
        numbers = sorted(int(key[len("Segment") : -len("_Name")]) for key in keys if _is_name(key))
        return tuple(_segment(keys, number) for number in numbers if f"Segment{number}_LabelValue" in keys)
    except (ScanError, ValueError):
        return ()


def segment_names(path: Path) -> dict[int, str]:
    """Name of each label value of a file with one layer; empty for other files."""
    return {segment.value: segment.name for segment in slicer_segments(path) if segment.layer == 0}


def _is_name(key: str) -> bool:
    return key.startswith("Segment") and key.endswith("_Name") and key[len("Segment") : -len("_Name")].isdecimal()


def _segment(keys: dict[str, str], number: int) -> SlicerSegment:
    start = f"Segment{number}_"
    layer = keys.get(f"{start}Layer", _DEFAULT_LAYER)
    return SlicerSegment(keys[f"{start}Name"], int(layer), int(keys[f"{start}LabelValue"]))
