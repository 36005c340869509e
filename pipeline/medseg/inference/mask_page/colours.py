"""Colours of structures on a grey scan."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable

Colour = tuple[int, int, int]

_FIRST = ("#ffb000", "#40b0ff", "#ff5a9e", "#7ddc5a", "#c58bff", "#ff7a3d", "#4be3c6", "#f2f25c")
_GOLDEN = 0.618033988749895  # share of a turn by which hues follow each other, so that none comes again
_SHADES = ((0.85, 1.0), (0.55, 1.0), (0.9, 0.75))  # saturation and value


def structure_colours(names: Iterable[str]) -> dict[str, Colour]:
    """A bright colour for each structure; those of the first eight are apart for colour-blind readers, too.

    Args:
        names: Names in their order; the colour of a structure is that of its place.

    Returns:
        Red, green and blue from 0 to 255 by name.
    """
    return {name: _colour(number) for number, name in enumerate(names)}


def _colour(number: int) -> Colour:
    if number < len(_FIRST):
        code = _FIRST[number].removeprefix("#")
        return int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)
    saturation, value = _SHADES[number % len(_SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
