"""Titles, grids, scales and legends of a figure's axes."""

from __future__ import annotations

from typing import Any, Literal


def tidy(axis: Any, *, title: str = "", x: str, y: str, grid: Literal["both", "y"] = "both") -> None:
    """Name an axis pair, draw a light grid behind it and leave out the frame's upper and right side.

    Args:
        axis: Axis pair of matplotlib.
        title: Title above it.
        x: Name of the horizontal axis.
        y: Name of the vertical axis.
        grid: Grid lines in both directions, or only the level ones, which suit bars.
    """
    axis.set_title(title, fontsize=11)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.grid(visible=True, axis=grid, color="#e4e4e4", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def log_axis(axis: Any) -> None:
    """Make the vertical axis logarithmic, with 1, 2 and 5 of each power of ten written as plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def legend_beside(axis: Any, *, title: str = "") -> None:
    """A legend to the right of the axes, where it covers no data."""
    axis.legend(
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
