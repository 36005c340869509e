"""Names beside a plot."""

from __future__ import annotations

from typing import Any


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
