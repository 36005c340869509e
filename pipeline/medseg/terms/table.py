"""The table of structures: names, codes and colours."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from medseg.scans.segment import CodedTerm, Colour
from medseg.terms.palette import colour_of

TABLE = Path(__file__).with_name("structures.csv")
SIDES = {"left": CodedTerm("7771000", "SCT", "Left"), "right": CodedTerm("24028007", "SCT", "Right")}
ANATOMY = CodedTerm("91723000", "SCT", "Anatomical Structure")
CATEGORIES = {
    term.meaning: term
    for term in (
        ANATOMY,
        CodedTerm("85756007", "SCT", "Tissue"),
        CodedTerm("49755003", "SCT", "Morphologically Abnormal Structure"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A line of the table.

    Attributes:
        names: Names of the structure, as `normalised` writes them.
        kind: Its code.
        has_sides: Whether the name of a side may be added to its names.
        category: Code of its category.
        colour: Colour to show it in; None for any.
    """

    names: tuple[str, ...]
    kind: CodedTerm
    has_sides: bool
    category: CodedTerm
    colour: Colour | None


@cache
def read_terms() -> tuple[Term, ...]:
    """Every line of the table."""
    with TABLE.open(encoding="utf-8", newline="") as stream:
        return tuple(
            Term(
                names=tuple(normalised(name) for name in row["names"].split(";")),
                kind=CodedTerm(row["value"], row["scheme"], row["meaning"]),
                has_sides=row["both_sides"] == "yes",
                category=CATEGORIES[row["category"]],
                colour=colour_of(row["colour"]) if row["colour"] else None,
            )
            for row in csv.DictReader(stream)
        )


def find_term(name: str) -> tuple[Term, CodedTerm | None] | None:
    """The line of a structure and its side, by the exact name alone.

    Case, spaces, hyphens and underscores do not count, and `left` or `right` may stand anywhere in the name of a
    structure that has both sides. A name that is merely alike is not found.

    Returns:
        Line and side, None for a structure without one; None where the table has no such name.
    """
    plain = normalised(name)
    if plain in _by_name():
        return _by_name()[plain], None
    words = plain.split()
    sides = [word for word in words if word in SIDES]
    if len(sides) != 1:
        return None
    term = _by_name().get(" ".join(word for word in words if word not in SIDES))
    return (term, SIDES[sides[0]]) if term is not None and term.has_sides else None


def normalised(name: str) -> str:
    """Name in lower case, its words parted by single spaces."""
    return re.sub(r"[\s_\-]+", " ", name).strip().lower()


@cache
def _by_name() -> dict[str, Term]:
    return {name: term for term in read_terms() for name in term.names}
