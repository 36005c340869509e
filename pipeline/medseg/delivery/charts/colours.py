"""Colours and dashes that distinguish lines and bars."""

from __future__ import annotations

# Distinct for colour-blind eyes; after Okabe and Ito, https://jfly.uni-koeln.de/color/, yellow darkened for white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c564b", "#b3a100", "#7f3fbf", "#666666")
STYLES = ("solid", "dashed", "dotted", "dashdot")
GREY = "#8a8a8a"


def line_style(index: int) -> dict[str, str]:
    """Colour and dashes of the line with that number; forty differ."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": STYLES[index // len(COLOURS) % len(STYLES)]}
