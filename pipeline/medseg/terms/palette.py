"""Colours that tell up to 255 structures apart over a grey scan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from colorsys import hsv_to_rgb
from itertools import count, cycle, islice
from math import dist

from medseg.scans.segment import Colour

# Bright, and as far apart for colour-blind readers as eight colours can be.
_FIRST = ("#ffb000", "#40b0ff", "#ff5a9e", "#7ddc5a", "#c58bff", "#ff7a3d", "#4be3c6", "#f2f25c")
_GOLDEN = 0.618033988749895  # of a turn: hues that follow one another lie far apart
_SHADES = ((0.85, 1.0), (0.55, 1.0), (0.9, 0.75))  # saturation and brightness
# Distances in red, green and blue: colours of the palette keep the first from wanted ones; of two wanted ones that lie
# closer than the second, as those of liver and stomach, one is given up.
_NEAR, _ALIKE = 50.0, 25.0
_TRIED = 600  # colours of which those that lie far apart are taken


def distinct_colours(wanted: Sequence[Colour | None]) -> tuple[Colour, ...]:
    """A colour for each structure, all of them different as long as there are at most 255.

    Args:
        wanted: Colour of each structure, kept for the first of those that want it or one that looks alike; None for
            any.
    """
    taken = {colour for colour in wanted if colour is not None}
    free = (colour for colour in _palette() if all(dist(colour, other) >= _NEAR for other in taken))
    given: set[Colour] = set()
    colours = []
    for colour in wanted:
        is_free = colour is not None and all(dist(colour, other) >= _ALIKE for other in given)
        chosen = colour if colour is not None and is_free else next(free)
        given.add(chosen)
        colours.append(chosen)
    return tuple(colours)


def colour_of(text: str) -> Colour:
    """Colour of a text such as `#ffb000`."""
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def hex_code(colour: Colour) -> str:
    """Text of a colour, such as `#ffb000`."""
    return f"#{bytes(colour).hex()}"


def _palette() -> Iterator[Colour]:
    """Colours that lie far apart, as long as there are such, then others; beyond some hundred they come again."""
    seen: list[Colour] = []
    for least in (_NEAR, _ALIKE, _ALIKE / 4, 1.0):
        for colour in islice(_candidates(), _TRIED):
            if all(dist(colour, other) >= least for other in seen):
                seen.append(colour)
                yield colour
    yield from cycle(seen)


def _candidates() -> Iterator[Colour]:
    """The first colours, then one after another round the hues."""
    yield from map(colour_of, _FIRST)
    for number in count():
        saturation, brightness = _SHADES[number % len(_SHADES)]
        red, green, blue = hsv_to_rgb(number * _GOLDEN % 1, saturation, brightness)
        yield round(255 * red), round(255 * green), round(255 * blue)
