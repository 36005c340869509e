"""Colours that tell up to 255 structures apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from colorsys import hsv_to_rgb
from itertools import count

from medseg.delivery.charts import LABEL_COLOURS
from medseg.scans.segment import Colour

_GOLDEN = 0.618033988749895  # of a turn: hues that follow one another lie far apart
_SHADES = ((0.65, 0.95), (0.9, 0.75), (0.45, 0.85), (0.8, 0.55))  # saturation and brightness


def distinct_colours(wanted: Sequence[Colour | None]) -> tuple[Colour, ...]:
    """A colour for each structure, all of them different.

    Args:
        wanted: Colour of each structure, kept for the first that wants it; None for any.
    """
    taken = {colour for colour in wanted if colour is not None}
    free = (colour for colour in _palette() if colour not in taken)
    given: set[Colour] = set()
    colours = []
    for colour in wanted:
        chosen = next(free) if colour is None or colour in given else colour
        given.add(chosen)
        colours.append(chosen)
    return tuple(colours)


def colour_of(text: str) -> Colour:
    """Colour of a text such as `#ffb000`."""
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def _palette() -> Iterator[Colour]:
    """Colours of labels over a scan first, then one after another round the hues; none comes twice."""
    seen: set[Colour] = set()
    for colour in _candidates():
        if colour not in seen:
            seen.add(colour)
            yield colour


def _candidates() -> Iterator[Colour]:
    yield from map(colour_of, LABEL_COLOURS)
    for number in count():
        saturation, brightness = _SHADES[number % len(_SHADES)]
        red, green, blue = hsv_to_rgb(number * _GOLDEN % 1, saturation, brightness)
        yield round(255 * red), round(255 * green), round(255 * blue)
