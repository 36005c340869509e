"""The chart kit: one look for every figure and every drawing of a page."""

from __future__ import annotations

from medseg.delivery.charts.axes import legend_beside, log_axis, shortened, tidy
from medseg.delivery.charts.colours import COLOURS, GREY, STYLES, line_style
from medseg.delivery.charts.figure import heading, new_figure, save_figure
from medseg.delivery.charts.scale import LOG_RATIO, Scale, Tick

__all__ = [
    "COLOURS",
    "GREY",
    "LOG_RATIO",
    "STYLES",
    "Scale",
    "Tick",
    "heading",
    "legend_beside",
    "line_style",
    "log_axis",
    "new_figure",
    "save_figure",
    "shortened",
    "tidy",
]
