"""The drawings of a search as coordinates; the template turns them into SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medseg.delivery.charts import LOG_RATIO, Scale, Tick

WIDE, HIGH, SIDE = 960, 300, 300
_LEFT, _BELOW, _MARGIN = 60, 40, 12
_WIDE_LOG = LOG_RATIO / 10  # factors span less than other values that are drawn so

Scored = tuple[str, str, float]
"""Name, state and score of a trial."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A trial on a drawing, with its state and the text of its tooltip."""

    x: float
    y: float
    state: str
    title: str


@dataclass(frozen=True, slots=True)
class History:
    """Scores in the order of the trials.

    Attributes:
        dots: A dot per trial that has a score.
        best: Points of the line of the best score so far.
        plan: Height of the plan's score; None without one.
        x_ticks: Numbers of trials.
        y_ticks: Scores.
    """

    dots: list[Dot]
    best: str
    plan: float | None
    x_ticks: list[Tick]
    y_ticks: list[Tick]


@dataclass(frozen=True, slots=True)
class Line:
    """The curve of a trial."""

    points: str
    state: str
    title: str
    dots: list[Dot]


@dataclass(frozen=True, slots=True)
class Curves:
    """Scores of the validations on the way, a line per trial."""

    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


@dataclass(frozen=True, slots=True)
class Setting:
    """Scores against the values of one setting."""

    name: str
    dots: list[Dot]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def history_chart(trials: Sequence[Scored]) -> History | None:
    """Scores in the order of the trials; None as long as there is none."""
    known = [(number, name, state, score) for number, (name, state, score) in enumerate(trials) if score == score]
    if not known:
        return None
    x = Scale.over([0, max(1, len(trials) - 1)], start=_LEFT, end=WIDE - _MARGIN)
    y = _scores([score for *_, score in known], HIGH)
    best, points = float("-inf"), list[tuple[float, float]]()
    for number, _, state, score in known:
        if state == "complete" and score > best:
            if points:
                points.append((x.place(number), y.place(best)))
            points.append((x.place(number), y.place(score)))
            best = score
    if points:
        points.append((x.place(len(trials) - 1), y.place(best)))
    plan = next((score for number, _, state, score in known if number == 0 and state == "complete"), None)
    ticks = [tick for tick in x.ticks(10) if tick.text.isdigit()]
    dots = [Dot(x.place(n), y.place(s), state, f"{name}, {state}: {s:.4f}") for n, name, state, s in known]
    return History(dots, _text(points), None if plan is None else y.place(plan), ticks, y.ticks())


def curves_chart(trials: Sequence[tuple[str, str, Mapping[int, float]]]) -> Curves | None:
    """A line per trial; None as long as there is no validation on the way."""
    every = [(step, score) for *_, curve in trials for step, score in curve.items()]
    if not every:
        return None
    steps = [step for step, _ in every]
    x = Scale.over([min(steps), max(*steps, min(steps) + 1)], start=_LEFT, end=WIDE - _MARGIN)
    y = _scores([score for _, score in every], HIGH)
    lines = []
    for name, state, curve in trials:
        points = [(x.place(step), y.place(curve[step])) for step in sorted(curve)]
        dots = [Dot(at, height, state, f"{name}, {state}") for at, height in points]
        if dots:
            lines.append(Line(_text(points), state, f"{name}, {state}", dots))
    return Curves(lines, [tick for tick in x.ticks(10) if tick.text.isdigit()], y.ticks())


def setting_charts(trials: Sequence[tuple[str, str, float, Mapping[str, Any]]], names: Sequence[str]) -> list[Setting]:
    """A drawing per setting of which at least two values have a score."""
    return [chart for name in names if (chart := _setting(trials, name)) is not None]


def _setting(trials: Sequence[tuple[str, str, float, Mapping[str, Any]]], name: str) -> Setting | None:
    known = [(row, state, score, own[name]) for row, state, score, own in trials if name in own and score == score]
    values = list(dict.fromkeys(value for *_, value in known))
    if len(values) < 2:
        return None
    places, ticks = _places(values)
    y = _scores([score for *_, score, _ in known], SIDE)
    dots = [
        Dot(places[value], y.place(score), state, f"{row}, {state}: {_short(value)}, {score:.4f}")
        for row, state, score, value in known
    ]
    return Setting(name, dots, ticks, y.ticks(4))


def _places(values: Sequence[Any]) -> tuple[dict[Any, float], list[Tick]]:
    """Position of each value: along an axis for numbers of a range, side by side for the few of a list."""
    end = SIDE - _MARGIN
    if all(isinstance(value, float) for value in values) and len(values) > len("few"):
        is_log = min(values) > 0 and max(values) / min(values) >= _WIDE_LOG
        x = Scale.over(values, start=_LEFT, end=end, is_log=is_log)
        return {value: x.place(value) for value in values}, x.ticks(4)
    ordered = sorted(values, key=lambda value: (isinstance(value, str), value))
    x = Scale(-0.5, len(ordered) - 0.5, _LEFT, end)
    places = {value: x.place(number) for number, value in enumerate(ordered)}
    return places, [Tick(at, _short(value)) for value, at in places.items()]


def _scores(scores: Sequence[float], height: float) -> Scale:
    return Scale.over(scores, start=height - _BELOW, end=_MARGIN)


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _text(points: Sequence[tuple[float, float]]) -> str:
    """Points as SVG writes them."""
    return " ".join(f"{x:g},{y:g}" for x, y in points)
