"""The probability along the slices in coordinates of a small drawing, which the template turns into SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medseg.delivery.charts import Scale
from medseg.delivery.classification.triage.key_slices import KeySlice
from medseg.delivery.classification.triage.legible import in_mm, legible
from medseg.records import Array, SliceScores

WIDTH, HEIGHT = 236, 74
LEFT, RIGHT, TOP, BOTTOM = 11, 230, 6, 58
_HEIGHTS = Scale(0, 1, BOTTOM, TOP)
_BINS = 56
_TICK = 8


@dataclass(frozen=True, slots=True)
class Line:
    """The line of one class: the number of its colour, and its points as SVG text."""

    colour: int
    points: str


@dataclass(frozen=True, slots=True)
class Dot:
    """The dot of one key slice."""

    colour: int
    x: float
    y: float
    title: str


@dataclass(frozen=True, slots=True)
class Curve:
    """All lines and dots of a study, and the positions at both ends."""

    lines: list[Line]
    dots: list[Dot]
    low_mm: float
    high_mm: float

    @property
    def extent_mm(self) -> float:
        """Length from the first slice to the last."""
        return self.high_mm - self.low_mm


def draw_curve(
    scores: SliceScores, keys: Sequence[KeySlice], colours: Mapping[int, int], classes: Sequence[str]
) -> Curve:
    """A line per shown class over the position in millimetres, rising to the right, and a dot per key slice.

    Args:
        scores: Scores of a study with at least one slice, all numbers finite.
        keys: Key slices of that study; those of classes that are not shown get no dot.
        colours: Number of the colour of each shown column.
        classes: Names of all columns.
    """
    positions = np.asarray(scores.positions_mm, dtype=np.float64)
    low, high = float(positions.min()), float(positions.max())
    xs = Scale(low, high, LEFT, RIGHT).places(positions)
    order = np.argsort(positions, kind="stable")
    lines = [
        Line(colour, _points(xs[order], _HEIGHTS.places(scores.probabilities[order, column])))
        for column, colour in colours.items()
    ]
    colour_of = {classes[column]: colour for column, colour in colours.items()}
    dots = [
        Dot(
            colour_of[key.class_name],
            round(float(xs[key.index]), 1),
            _HEIGHTS.place(key.probability),
            f"slice {key.index}, {in_mm(key.position_mm, extent=high - low)} mm: {legible(key.class_name)} "
            f"{key.probability:.3f}",
        )
        for key in keys
        if key.class_name in colour_of
    ]
    return Curve(lines, dots, low, high)


def _points(xs: Array, ys: Array) -> str:
    """At most `2 * _BINS` points: the lowest and the highest of each bin of long curves, so that no peak is lost.

    A single slice becomes a short level line.
    """
    if len(xs) == 1:
        xs, ys = np.array([xs[0] - _TICK, xs[0] + _TICK]), np.repeat(ys, 2)
    chosen = np.arange(len(xs))
    if len(xs) > 2 * _BINS:
        bins = np.array_split(chosen, _BINS)
        chosen = np.unique([(part[ys[part].argmin()], part[ys[part].argmax()]) for part in bins])
    return " ".join(f"{x:.4g},{y:.3g}" for x, y in zip(xs[chosen].tolist(), ys[chosen].tolist(), strict=True))
