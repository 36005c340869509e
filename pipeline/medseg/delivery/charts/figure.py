"""Figures without a window, from an empty sheet to a file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from medseg.atomic import atomic_path


def new_figure(width: float, height: float, *, ground: str = "white", is_arranged: bool = True) -> Any:
    """An empty figure at 110 dots per inch.

    Args:
        width: Width in inches.
        height: Height in inches.
        ground: Colour of the background.
        is_arranged: Whether matplotlib keeps panels, titles and legends apart; otherwise the caller places them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1) if is_arranged else None
    figure = Figure(figsize=(width, height), dpi=110, facecolor=ground, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: Path) -> None:
    """Write a PNG whole or not at all; signs that the font lacks are boxes."""
    with atomic_path(path, suffix=".png") as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
        figure.savefig(temporary)


def heading(*lines: str) -> str:
    """The lines of a title, without the empty ones."""
    return "\n".join(line for line in lines if line)
