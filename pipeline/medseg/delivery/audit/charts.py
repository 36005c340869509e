"""Charts as coordinates on a drawing; the template turns them into SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medseg.audit.plain import plain
from medseg.delivery.charts import LOG_RATIO, Scale, Tick
from medseg.records import Array

WIDTH = 320
WIDE = 960
RANGES_HEIGHT = 240
ROW = 22
_BINS = 20


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a histogram: left edge, top, width, height, and the text of its tooltip."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Numbers of cases by value; `only` is a text instead of bars if all have the same value."""

    title: str
    unit: str
    only: str
    bars: list[Bar]
    ticks: list[Tick]
    most: int
    kind: str = "histogram"


@dataclass(frozen=True, slots=True)
class Line:
    """One case's intensities: from the 1st to the 99th percentile, the middle half thicker, the median marked."""

    x: float
    low: float
    lower: float
    middle: float
    upper: float
    high: float
    title: str
    is_far: bool


@dataclass(frozen=True, slots=True)
class Ranges:
    """Intensities of one channel, a line per case, by their medians."""

    title: str
    unit: str
    note: str
    lines: list[Line]
    ticks: list[Tick]
    width: float
    kind: str = "ranges"


@dataclass(frozen=True, slots=True)
class Dot:
    """One case in a row of dots."""

    x: float
    y: float
    title: str
    is_far: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One label: its dots, its median, and a summary of median and number of cases."""

    name: str
    y: float
    dots: list[Dot]
    median: float
    summary: str


@dataclass(frozen=True, slots=True)
class Dots:
    """Values of many labels, with a row for each."""

    title: str
    unit: str
    rows: list[Row]
    ticks: list[Tick]
    height: float
    kind: str = "dots"


Chart = Histogram | Ranges | Dots


def histogram(title: str, unit: str, values: Sequence[float]) -> Histogram:
    """A histogram of at least one value."""
    if max(values) - min(values) <= 1e-3 * abs(max(values)):
        return Histogram(title, unit, f"{values[0]:.4g} {unit} in all cases", [], [], len(values))
    is_log = min(values) > 0 and max(values) / min(values) > LOG_RATIO
    edges = _edges(values, is_log=is_log)
    scale = Scale(float(edges[0]), float(edges[-1]), start=8, end=WIDTH - 8, is_log=is_log)
    counts = np.histogram(values, bins=edges)[0]
    bars = []
    for count, left, right in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            x, tall = scale.place(left), round(80 * count / int(counts.max()), 1)
            title_of_bar = f"{count} case{'s' * (count > 1)} from {left:.4g} to {right:.4g} {unit}"
            bars.append(Bar(x + 0.5, 100 - tall, round(scale.place(right) - x - 1, 1), tall, title_of_bar))
    return Histogram(title, unit, "", bars, scale.ticks(), int(counts.max()))


def _edges(values: Sequence[float], *, is_log: bool) -> Array:
    """Bounds of about `_BINS` bars; those of whole numbers lie between whole numbers."""
    low, high = min(values), max(values)
    if is_log:
        return np.geomspace(low / 1.001, high * 1.001, _BINS + 1)
    if all(float(value).is_integer() for value in values):
        step = math.ceil((high - low + 1) / _BINS)
        return np.arange(low - 0.5, high + 0.5 + step, step)
    return np.linspace(low, high + 1e-6 * (high - low), _BINS + 1)


def ranges(title: str, unit: str, rows: Sequence[tuple[str, Sequence[float]]], far: set[str], *, total: int) -> Ranges:
    """A line for each case id and its five percentiles (1, 25, 50, 75, 99); those in `far` are red."""
    ordered = sorted(rows, key=lambda row: row[1][2])
    tops = [five[4] for _, five in ordered]
    is_log = min(five[1] for _, five in ordered) >= 0 and min(tops) > 0 and max(tops) / min(tops) > LOG_RATIO
    shown = [value for _, five in ordered for value in (five[1:] if is_log else five) if value > 0 or not is_log]
    scale = Scale.over(shown, start=RANGES_HEIGHT - 30, end=10, is_log=is_log)
    step = (WIDE - 70) / len(ordered)
    lines = []
    for index, (case_id, five) in enumerate(ordered):
        low, lower, middle, upper, high = (scale.place(value) for value in five)
        tooltip = f"{case_id}: median {plain(five[2])}, {plain(five[0])} to {plain(five[4])}"
        lines.append(
            Line(round(60 + (index + 0.5) * step, 1), low, lower, middle, upper, high, tooltip, case_id in far)
        )
    note = f"{len(ordered)} of {total} cases, evenly chosen" if len(ordered) < total else f"{total} cases"
    return Ranges(title, unit, note, lines, scale.ticks(), width=round(min(max(step * 0.6, 1), 8), 1))


def dots(title: str, unit: str, rows: Sequence[tuple[str, Sequence[tuple[str, float]], int]], far: set[str]) -> Dots:
    """A row of dots per label, from its name, id and value of each case shown, and number of cases."""
    values = [value for _, found, _ in rows for _, value in found]
    scale = Scale.over(values, start=190, end=WIDE - 150, is_log=max(values) / min(values) > 10)
    drawn = []
    for index, (name, found, count) in enumerate(rows):
        y = ROW * (index + 0.75)
        places = [
            # Steps of the golden ratio spread dots of similar value vertically, the same way on every run.
            Dot(
                scale.place(value),
                round(y + 10 * ((n * 0.618) % 1 - 0.5), 1),
                f"{case_id}: {plain(value)} {unit}",
                case_id in far,
            )
            for n, (case_id, value) in enumerate(found)
        ]
        median = float(np.median([value for _, value in found]))
        summary = f"{plain(median)} {unit}, {count} case{'s' * (count > 1)}"
        drawn.append(Row(name, y, places, scale.place(median), summary))
    return Dots(title, unit, drawn, scale.ticks(8), height=ROW * len(rows) + 40)
