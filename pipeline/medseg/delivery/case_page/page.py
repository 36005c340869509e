"""One A4 page of a case as PDF: pictures, volumes, doubts, and what was checked."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from medseg.atomic import atomic_path
from medseg.delivery.case_page.painting import segment_painting
from medseg.delivery.case_page.structure_table import StructureRow, draw_table
from medseg.delivery.charts import new_figure
from medseg.delivery.segmentation.case_planes import draw_case_planes, panels_of
from medseg.records import Labelmap, Scan
from medseg.scans.segment import Segment

_A4 = (8.27, 11.69)  # inches
_MARGIN = 0.07
_INK, _GREY, _DOUBT = "#1a1a1a", "#6b6b6b", "#b3261e"
_LINE = 0.0145
_WIDTH, _FOOT_WIDTH = 108, 132  # letters on a line
_MOST_DOUBTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """What stands on the page beside pictures and volumes.

    Attributes:
        case_id: Id of the case.
        notice: Name of the software and what it is not.
        doubts: Reasons why a person should review the mask, in words.
        checks: Sentences on what was read back from the files.
        origin: Sentences on scan, models and time.
    """

    case_id: str
    notice: str
    doubts: tuple[str, ...]
    checks: tuple[str, ...]
    origin: tuple[str, ...]


def save_case_page(
    scan: Scan,
    labels: Labelmap,
    segments: Sequence[Segment],
    rows: Sequence[StructureRow],
    facts: PageFacts,
    path: Path,
) -> None:
    """Write the page, whole or not at all.

    Args:
        scan: Scan of the case; its first channel is shown, or three channels of a picture as colours.
        labels: Label values on the scan's grid.
        segments: Structures of the mask.
        rows: Measurements of the structures, in the order of the table.
        facts: Words of the page.
        path: Target file, ending in `.pdf`.
    """
    figure = new_figure(*_A4, is_arranged=False)
    figure.text(_MARGIN, 0.955, facts.case_id, fontsize=17, color=_INK, weight="bold", va="center", parse_math=False)
    figure.text(_MARGIN, 0.932, facts.notice, fontsize=8.5, color=_GREY, va="center", parse_math=False)
    top = _draw_pictures(figure, scan, labels, segments)
    top = _draw_lines(figure, _doubt_lines(facts.doubts), top - 0.012, color=_DOUBT if facts.doubts else _INK)
    foot = _lines([*facts.checks, *facts.origin], width=_FOOT_WIDTH)
    bottom = 0.04 + len(foot) * _LINE * 0.85
    draw_table(figure, rows, left=_MARGIN, right=1 - _MARGIN, top=top - 0.012, bottom=bottom + 0.012)
    _draw_lines(figure, foot, bottom, color=_GREY, size=6.8, step=_LINE * 0.85)
    drawn = BytesIO()  # since matplotlib hides the error of a full disk behind one of its own
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
        metadata = {"Creator": "medseg", "Title": facts.case_id, "CreationDate": None}
        figure.savefig(drawn, format="pdf", metadata=metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(drawn.getbuffer())


def _draw_pictures(figure: Any, scan: Scan, labels: Labelmap, segments: Sequence[Segment]) -> float:
    """Draw the planes on black, and give the height below them."""
    panels = panels_of(scan)
    top, height = 0.915, 0.27 if panels == 3 else 0.36
    width = (1 - 2 * _MARGIN) / panels
    axes = [
        figure.add_axes((_MARGIN + n * width, top - height, width - 0.006, height - 0.024), facecolor="black")
        for n in range(panels)
    ]
    ground = figure.add_axes((_MARGIN, top - height, 1 - 2 * _MARGIN, height), zorder=-1)
    ground.set_facecolor("black")
    ground.set_xticks([])
    ground.set_yticks([])
    draw_case_planes(axes, scan, labels, labels, segment_painting(segments))
    for axis in axes:
        axis.title.set_fontsize(7)
        axis.title.set_y(1.02)
    return top - height


def _doubt_lines(doubts: Sequence[str]) -> list[str]:
    if not doubts:
        return ["No doubts: the checks of mask and scan found nothing unusual."]
    more = len(doubts) - _MOST_DOUBTS
    shown = [f"• {one}" for one in doubts[:_MOST_DOUBTS]]
    return _lines(["Please review this mask:", *shown, *([f"• and {more} more"] if more > 0 else [])])


def _lines(sentences: Sequence[str], *, width: int = _WIDTH) -> list[str]:
    return [line for one in sentences for line in textwrap.wrap(one, width, subsequent_indent="  ") or [""]]


def _draw_lines(
    figure: Any, lines: Sequence[str], top: float, *, color: str, size: float = 8.0, step: float = _LINE
) -> float:
    for number, line in enumerate(lines):
        figure.text(_MARGIN, top - number * step, line, fontsize=size, color=color, va="top", parse_math=False)
    return top - len(lines) * step
