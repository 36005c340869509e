"""Whether structures that are named for a side of the body lie on that side of their partners."""

from __future__ import annotations

import re

from medseg.configuration import Config
from medseg.delivery.certificate.expected import ExpectedMask

_LEFT = re.compile(r"(?<![^\W_])(left|links|gauche)(?![^\W_])", re.IGNORECASE)
_PARTNERS = {"left": "right", "links": "rechts", "gauche": "droite"}


class SideCheck(Config):
    """A pair of structures, one on each side.

    Attributes:
        left: Name of the left one.
        right: Name of the right one.
        is_left_of_right: Whether the centroid of the left one lies further to the patient's left; None where one of
            them has no voxel.
    """

    left: str
    right: str
    is_left_of_right: bool | None


def check_sides(expected: ExpectedMask) -> tuple[SideCheck, ...]:
    """Compare each structure that is named left with the one of the same name on the right.

    A pair that is the wrong way round means a patient with swapped organs, a scan whose left and right were lost, or a
    mask that swaps both; all need a person.
    """
    places = {one.segment.name: one.centroid_mm for one in expected.structures}
    by_folded = {name.casefold(): name for name in places}
    checks = []
    for name, place in places.items():
        found = _LEFT.search(name)
        partner = by_folded.get(_partner(name, found).casefold()) if found else None
        if partner is None:
            continue
        other = places[partner]
        is_left = place[0] < other[0] if place is not None and other is not None else None
        checks.append(SideCheck(left=name, right=partner, is_left_of_right=is_left))
    return tuple(checks)


def _partner(name: str, found: re.Match[str]) -> str:
    return name[: found.start()] + _PARTNERS[found[1].lower()] + name[found.end() :]
