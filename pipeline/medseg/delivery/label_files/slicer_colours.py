"""Colour tables of 3D Slicer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.atomic import write_text
from medseg.delivery.label_files.value_labels import value_labels
from medseg.scans.segment import Segment


def write_slicer_colours(segments: Sequence[Segment], path: Path) -> None:
    """Write a `.ctbl` that 3D Slicer's module Colors loads, and shows a label volume by.

    A name is one word there, in which 3D Slicer itself writes `_` for each space, and a line with `#` first is a
    comment; the full names stand in the `.seg.nrrd` and in the JSON sidecar.

    Raises:
        DeliveryError: If a structure has no name, or the file cannot be written.

    Source: https://slicer.readthedocs.io, user guide, Colors, file format.
    """
    lines = [f"# Color table file {path.name}", "# Columns: value name red green blue alpha", "0 Background 0 0 0 0"]
    for value, name, colour in value_labels(segments):
        lines.append(f"{value} {'_'.join(name.split())} {' '.join(map(str, colour))} 255")
    write_text(path, "\n".join(lines) + "\n")
