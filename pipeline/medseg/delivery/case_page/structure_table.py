"""The table of structures on a case's page, in as many columns as they need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

_INK, _GREY = "#1a1a1a", "#6b6b6b"
_MOST_LINES = 46
_WIDE = 22  # structures up to which every measurement has a column


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureRow:
    """A line of the table.

    Attributes:
        name: Name of the structure.
        colour: Red, green and blue from 0 to 255.
        volume_ml: Volume in millilitres; 0 where the structure was not found.
        diameter_mm: Longest diameter; None if it has no voxel, or no place in the patient.
        intensity: Mean and spread of the intensity in words; "" if it has no voxel.
        confidence: Expected Dice in words; "" where it is not known.
    """

    name: str
    colour: tuple[int, int, int]
    volume_ml: float
    diameter_mm: float | None
    intensity: str
    confidence: str


def draw_table(
    figure: Any, rows: Sequence[StructureRow], *, left: float, right: float, top: float, bottom: float
) -> None:
    """Draw the table into a part of a figure, whose edges are given as shares of its size.

    Structures without a voxel are named below the others.
    """
    found = [row for row in rows if row.volume_ml > 0]
    missing = [row.name for row in rows if row.volume_ml <= 0]
    blocks = 1 if len(found) <= _WIDE else min(3, math.ceil(len(found) / _MOST_LINES) + 1)
    lines = max(1, math.ceil(len(found) / blocks))
    step = min(0.0165, (top - bottom) / (lines + 2 + bool(missing)))
    size = min(8.0, step * 480)
    width = (right - left) / blocks
    for number in range(blocks):
        part = found[number * lines : (number + 1) * lines]
        if part or not number:
            block = _Block(left + number * width, width - 0.02, top, step, size, is_wide=blocks == 1)
            _draw_block(figure, part, block)
    if missing:
        words = f"Not found: {', '.join(missing)}"
        most = 130
        shown = words if len(words) <= most else f"{words[: most - 1]}…"
        figure.text(left, top - (lines + 1.4) * step, shown, fontsize=size, color=_GREY, va="center", parse_math=False)


class _Block(NamedTuple):
    """Where one column of structures stands, in shares of the figure's size, and the size of its letters in points."""

    left: float
    width: float
    top: float
    step: float
    size: float
    is_wide: bool


def _draw_block(figure: Any, rows: Sequence[StructureRow], block: _Block) -> None:
    from matplotlib.patches import Rectangle

    left, width, top, step, size, is_wide = block
    heads = ("volume", "longest diameter", "intensity", "expected Dice") if is_wide else ("volume",)
    ends = [left + width * share for share in ((0.46, 0.64, 0.82, 1.0) if is_wide else (1.0,))]
    style = {"fontsize": size, "va": "center", "parse_math": False}
    figure.text(left, top, "structure", color=_GREY, **style)
    for head, end in zip(heads, ends, strict=True):
        figure.text(end, top, head, color=_GREY, ha="right", **style)
    most = 38 if is_wide else 26
    for number, row in enumerate(rows, start=1):
        y = top - number * step
        colour = tuple(channel / 255 for channel in row.colour)
        figure.add_artist(Rectangle((left, y - step * 0.3), 0.012, step * 0.6, color=colour))
        name = row.name if len(row.name) <= most else f"{row.name[: most - 1]}…"
        figure.text(left + 0.02, y, name, color=_INK, **style)
        cells = _cells(row)[: len(heads)]
        for cell, end in zip(cells, ends, strict=True):
            figure.text(end, y, cell, color=_INK, ha="right", **style)


def _cells(row: StructureRow) -> tuple[str, str, str, str]:
    diameter = f"{row.diameter_mm:.4g} mm" if row.diameter_mm is not None else ""
    volume = f"{row.volume_ml:,.0f}" if row.volume_ml >= 1000 else f"{row.volume_ml:.4g}"
    return f"{volume} ml", diameter, row.intensity, row.confidence
