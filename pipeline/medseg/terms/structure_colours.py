"""The one colour of each structure."""

from __future__ import annotations

from collections.abc import Iterable

from medseg.scans.segment import Colour
from medseg.terms.palette import distinct_colours
from medseg.terms.table import find_term


def structure_colours(names: Iterable[str]) -> dict[str, Colour]:
    """A colour for each structure: that of the table, or one that no other has where there are at most 255.

    The colours depend on the set of names alone, not on their order, so that all pictures, pages and files of one set
    of labels agree. Of structures whose colours in the table look alike, the first by name keeps its own.

    Args:
        names: Names of the structures, without the background.

    Returns:
        Red, green and blue from 0 to 255 by name, in the order given.
    """
    given = tuple(names)
    ordered = sorted(set(given))
    found = [find_term(name) for name in ordered]
    colours = distinct_colours([None if one is None else one[0].colour for one in found])
    by_name = dict(zip(ordered, colours, strict=True))
    return {name: by_name[name] for name in given}
