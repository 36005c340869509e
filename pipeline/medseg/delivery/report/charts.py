"""Curves as coordinates; the template turns them into SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medseg.delivery.charts import COLOURS, LOG_RATIO, Scale, Tick

WIDTH, HEIGHT = 300, 190
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 8, 38
_MOST_POINTS = 600


@dataclass(frozen=True, slots=True)
class Curve:
    """A number by steps."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class LineChart:
    """A curve on a drawing.

    Attributes:
        title: Name of the number.
        note: Its last value, and its scale.
        path: Points of the line, as SVG takes them.
        dots: Points that are marked, because there are few.
        colour: Colour of the line.
        x_ticks: Steps.
        y_ticks: Values.
        x_name: Name of the horizontal axis.
    """

    title: str
    note: str
    path: str
    dots: Sequence[tuple[float, float]]
    colour: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    x_name: str = "step"

    size: tuple[int, int] = (WIDTH, HEIGHT)
    area: tuple[int, int, int, int] = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)


def line_chart(curve: Curve, *, index: int = 0, may_be_log: bool = False) -> LineChart | None:
    """The drawing of a curve; None if no point of it is finite.

    Args:
        curve: Number by steps.
        index: Number of the curve's colour.
        may_be_log: Whether positive values over a wide range are drawn on a logarithmic scale.
    """
    points = [(x, y) for x, y in curve.points if math.isfinite(x) and math.isfinite(y)]
    if not points:
        return None
    last = points[-1][1]
    points = points[:: math.ceil(len(points) / _MOST_POINTS)]
    values = [y for _, y in points]
    is_log = may_be_log and min(values) > 0 and max(values) >= LOG_RATIO * min(values)
    across = Scale.over([x for x, _ in points], start=LEFT, end=WIDTH - RIGHT)
    up = Scale.over(values, start=HEIGHT - BOTTOM, end=TOP, is_log=is_log)
    placed = [(across.place(x), up.place(y)) for x, y in points]
    return LineChart(
        curve.name,
        f"{last:.4g} at the end" + (", logarithmic" if is_log else ""),
        " ".join(f"{x},{y}" for x, y in placed),
        placed if len(placed) <= 30 else [],
        COLOURS[index % len(COLOURS)],
        across.ticks(4),
        up.ticks(5),
    )
