"""White figures without a window, and their colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medseg.atomic import atomic_path

# Told apart by colour-blind eyes; after Okabe and Ito, https://jfly.uni-koeln.de/color/, yellow darkened for white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c564b", "#b3a100", "#7f3fbf", "#666666")
STYLES = ("solid", "dashed", "dotted", "dashdot")
GREY = "#8a8a8a"


def new_figure(width: float, height: float) -> Any:
    """An empty white figure of that size in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: Path) -> None:
    """Write a PNG whole or not at all."""
    with atomic_path(path, suffix=".png") as temporary:
        figure.savefig(temporary)


def line_style(index: int) -> dict[str, str]:
    """Colour and dashes of the line with that number; forty differ."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": STYLES[index // len(COLOURS) % len(STYLES)]}


def tidy(axis: Any, *, title: str = "", x: str, y: str) -> None:
    """Name an axis pair, draw a light grid behind it and leave out the frame's upper and right side."""
    axis.set_title(title, fontsize=11)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.grid(visible=True, color="#e4e4e4", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def legend_beside(axis: Any, handles: Sequence[Any] | None = None, *, title: str = "") -> None:
    """A legend to the right of the axes, where it hides nothing."""
    arguments = {} if handles is None else {"handles": handles}
    axis.legend(
        **arguments,
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0,
        frameon=False,
        fontsize=9,
        title=title,
        title_fontsize=9,
        alignment="left",
    )


def shortened(name: str, length: int = 24) -> str:
    """A name that fits beside a plot."""
    return name if len(name) <= length else f"{name[: length - 1]}…"
