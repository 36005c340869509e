"""The drawings of a comparison as coordinates; the template turns them into SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from medseg.delivery.charts import LOG_RATIO, Scale, Tick
from medseg.evaluation.segmentation import PairedDifference, as_text, signed_text

SIDE = 360
_LEFT = 60  # of the name of an axis and its numbers
_BELOW = 46
ROW = 26
WIDE = 960
COST_WIDE = 460
_LINE = 14


@dataclass(frozen=True, slots=True)
class Point:
    """A case on a drawing, with the text of its tooltip."""

    x: float
    y: float
    title: str


@dataclass(frozen=True, slots=True)
class Scatter:
    """Cases by their value in both evaluations; on the diagonal both are alike.

    Attributes:
        points: A point per case.
        ticks: Values along both axes.
        first: Name of the evaluation on the horizontal axis.
        second: Name of the one on the vertical axis.
    """

    points: list[Point]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Difference of the two values of each case against their mean.

    Attributes:
        points: A point per case.
        x_ticks: Means.
        y_ticks: Differences.
        zero: Height of no difference.
        mean: Height of the mean difference.
        limits: Heights between which 95 % of the differences are expected if they are normal.
        note: Mean difference and limits as text.
    """

    points: list[Point]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    zero: float
    mean: float
    limits: tuple[float, float]
    note: str


@dataclass(frozen=True, slots=True)
class Whisker:
    """Difference of one structure with its interval; `low` and `high` are None without one."""

    name: str
    y: float
    low: float | None
    at: float
    high: float | None
    verdict: str
    summary: str


@dataclass(frozen=True, slots=True)
class Forest:
    """Differences of all structures, a row for each; zero is drawn as a line."""

    rows: list[Whisker]
    ticks: list[Tick]
    zero: float
    height: float


@dataclass(frozen=True, slots=True)
class CostPoint:
    """An evaluation by its cost and its mean, with its name beside it."""

    x: float
    y: float
    name: str
    title: str
    name_x: float
    name_y: float
    anchor: str


@dataclass(frozen=True, slots=True)
class CostChart:
    """The metric of every evaluation against seconds per case; the best stand up on the left.

    Attributes:
        points: A point per evaluation.
        x_ticks: Seconds.
        y_ticks: Values of the metric.
    """

    points: list[CostPoint]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def scatter(values: Sequence[tuple[str, float, float]], metric: str, *, first: str, second: str) -> Scatter:
    """A point per case, from its name and both values; both axes have one scale."""
    every = [value for _, one, two in values for value in (one, two)]
    across = Scale.over(every, start=_LEFT, end=SIDE - 8)
    up = Scale.over(every, start=SIDE - _BELOW, end=8)
    points = [
        Point(
            across.place(one),
            up.place(two),
            f"{name}: {as_text(metric, one, 3)} ({first}), {as_text(metric, two, 3)} ({second})",
        )
        for name, one, two in values
    ]
    return Scatter(points, across.ticks(4), up.ticks(4), first, second)


def bland_altman(values: Sequence[tuple[str, float, float]], metric: str) -> BlandAltman:
    """Differences against means of at least two cases, with the limits of agreement.

    Source: Bland and Altman 1986, https://doi.org/10.1016/S0140-6736(86)90837-8.
    """
    changes = [two - one for _, one, two in values]
    middle, reach = fmean(changes), 1.96 * stdev(changes)
    across = Scale.over([(one + two) / 2 for _, one, two in values], start=_LEFT, end=SIDE - 8)
    up = Scale.over([*changes, 0.0, middle - reach, middle + reach], start=SIDE - _BELOW, end=8)
    points = [
        Point(across.place((one + two) / 2), up.place(two - one), f"{name}: {as_text(metric, two - one, 3)}")
        for name, one, two in values
    ]
    ends = (as_text(metric, middle - reach, 3), as_text(metric, middle + reach, 3))
    return BlandAltman(
        points,
        across.ticks(4),
        up.ticks(4),
        up.place(0.0),
        up.place(middle),
        (up.place(middle - reach), up.place(middle + reach)),
        f"mean difference {as_text(metric, middle, 3)}, limits of agreement {ends[0]} to {ends[1]}",
    )


def cost_chart(values: Sequence[tuple[str, float, float]], metric: str) -> CostChart:
    """A point per evaluation, from its name, its seconds per case and its mean of the metric."""
    seconds = [cost for _, cost, _ in values]
    is_log = min(seconds) > 0 and max(seconds) >= LOG_RATIO * min(seconds)
    across = Scale.over(seconds, start=_LEFT, end=COST_WIDE - 8, is_log=is_log)
    up = Scale.over([value for _, _, value in values], start=SIDE - _BELOW, end=8)
    points, taken = [], list[float]()
    for name, cost, value in sorted(values, key=lambda one: -one[2]):
        x, y = across.place(cost), up.place(value)
        is_left = x > COST_WIDE / 2
        height = max([y + 4, *(used + _LINE for used in taken if used + _LINE > y + 4)])
        taken.append(height)
        title = f"{name}: {as_text(metric, value, 4)} at {cost:.1f} s per case"
        anchor = "end" if is_left else "start"
        points.append(CostPoint(x, y, name, title, x - 9 if is_left else x + 9, round(height, 1), anchor))
    return CostChart(points, across.ticks(6), up.ticks(4))


def forest(entries: Sequence[PairedDifference]) -> Forest:
    """A row per structure of one metric."""
    ends = [end for entry in entries for end in (entry.difference, entry.low, entry.high) if end == end]
    scale = Scale.over([*ends, 0.0], start=240, end=WIDE - 250)
    rows = []
    for index, entry in enumerate(entries):
        known = entry.low == entry.low
        rows.append(
            Whisker(
                entry.structure,
                ROW * (index + 0.75),
                scale.place(entry.low) if known else None,
                scale.place(entry.difference),
                scale.place(entry.high) if known else None,
                entry.verdict,
                _summary(entry),
            )
        )
    return Forest(rows, scale.ticks(7), scale.place(0.0), ROW * len(rows) + 44)


def _summary(entry: PairedDifference) -> str:
    change = signed_text(entry.metric, entry.difference)
    if entry.low != entry.low:
        return f"{change}, too few patients ({entry.patients})"
    return f"{change} ({signed_text(entry.metric, entry.low)} to {signed_text(entry.metric, entry.high)})"
