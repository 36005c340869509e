"""Names beside points, where they cover neither each other nor another point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

Box = tuple[float, float, float, float]
_GAP = 4.0  # pixels between a ball and its name


class LabelledBall(NamedTuple):
    """A ball to be named: centre and interval in data coordinates, radius in typographic points."""

    name: str
    x: float
    y: float
    radius: float
    low: float
    high: float


def place_labels(figure: Any, axis: Any, balls: Sequence[LabelledBall]) -> None:
    """Write each ball's name beside it, with a thin line to it where the name had to go far.

    Tries places round the ball, then further out, and takes the first that is free of other names, balls and
    intervals and inside the axes; where none is, the one with least overlap. The largest ball chooses first.

    Args:
        figure: Figure, with its final layout but for the names.
        axis: Axis pair of the names, with its final limits.
        balls: Balls to name; an interval that is NaN takes no room.
    """
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    frame = axis.get_window_extent(renderer)
    bodies = [_body(axis, ball, figure.dpi / 72) for ball in balls]
    whiskers = [whisker for ball in balls for whisker in _whisker(axis, ball)]
    names: list[Box] = []
    for index in sorted(range(len(balls)), key=lambda index: -balls[index].radius):
        text = axis.text(0, 0, balls[index].name, fontsize=9, zorder=5)
        extent = text.get_window_extent(renderer)
        others = names + whiskers + bodies[:index] + bodies[index + 1 :]
        centre = axis.transData.transform((balls[index].x, balls[index].y))
        places = list(_places(centre, balls[index].radius * figure.dpi / 72, extent.width, extent.height))
        best = min(
            places,
            key=lambda box: _overlap(box, others) + 1e3 * _outside(box, (frame.x0, frame.y0, frame.x1, frame.y1)),
        )
        names.append(best)
        text.set_position(axis.transData.inverted().transform(best[:2]))
        if places.index(best) >= 8:
            _lead(axis, centre, best)


def _places(centre: Any, radius: float, width: float, height: float) -> Iterator[Box]:
    """Boxes round a ball, the nearest first: right, left, above, below, then the corners; then further out."""
    x, y = centre
    for reach in (radius + _GAP, radius + 22, radius + 44, radius + 70):
        slant = 0.75 * reach
        for dx, dy, share_x, share_y in (
            (reach, 0, 0, 0.5),
            (-reach, 0, 1, 0.5),
            (0, reach, 0.5, 0),
            (0, -reach, 0.5, 1),
            (slant, slant, 0, 0),
            (slant, -slant, 0, 1),
            (-slant, slant, 1, 0),
            (-slant, -slant, 1, 1),
        ):
            left, bottom = x + dx - share_x * width, y + dy - share_y * height
            yield (left, bottom, left + width, bottom + height)


def _body(axis: Any, ball: LabelledBall, scale: float) -> Box:
    """The square that lies within a ball, and at least its dot."""
    x, y = axis.transData.transform((ball.x, ball.y))
    reach = max(0.7 * ball.radius * scale, 4.0)
    return (x - reach, y - reach, x + reach, y + reach)


def _whisker(axis: Any, ball: LabelledBall) -> list[Box]:
    """The room of a ball's interval."""
    if not np.isfinite([ball.low, ball.high]).all():
        return []
    (x, low), (_, high) = axis.transData.transform([(ball.x, ball.low), (ball.x, ball.high)])
    return [(x - 1, low, x + 1, high)]


def _overlap(box: Box, others: Sequence[Box]) -> float:
    """Area that a box shares with others, each grown by two pixels."""
    shared = 0.0
    for other in others:
        wide = min(box[2], other[2] + 2) - max(box[0], other[0] - 2)
        high = min(box[3], other[3] + 2) - max(box[1], other[1] - 2)
        shared += max(wide, 0.0) * max(high, 0.0)
    return shared


def _outside(box: Box, frame: Box) -> float:
    """How far a box reaches out of a frame."""
    return sum(
        max(value, 0.0) for value in (frame[0] - box[0], frame[1] - box[1], box[2] - frame[2], box[3] - frame[3])
    )


def _lead(axis: Any, centre: Any, box: Box) -> None:
    """A thin line from the point to the nearest edge of its name."""
    end = (np.clip(centre[0], box[0], box[2]), np.clip(centre[1], box[1], box[3]))
    points = axis.transData.inverted().transform([centre, end])
    axis.plot(points[:, 0], points[:, 1], color="#555555", linewidth=0.6, zorder=4, scalex=False, scaley=False)
