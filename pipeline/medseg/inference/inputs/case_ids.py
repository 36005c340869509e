"""Ids of cases: short where that suffices, and unique on every file system."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence


def unique_ids(names: Sequence[Sequence[str]]) -> list[str]:
    """The shortest of each case's names that no other case has.

    Names count as one where a file system may take them for one, as those that differ in case alone. Cases that share
    all names are numbered in their order.

    Args:
        names: Names of each case, from the shortest to the most exact one.
    """
    chosen = [0] * len(names)
    while True:
        ids = [options[level] for options, level in zip(names, chosen, strict=True)]
        count = Counter(map(folded, ids))
        longer = [
            place for place, name in enumerate(ids) if count[folded(name)] > 1 and chosen[place] + 1 < len(names[place])
        ]
        if not longer:
            return _numbered(ids)
        for place in longer:
            chosen[place] += 1


def folded(name: str) -> str:
    """A name as file systems compare it that know neither case nor the two forms of accented letters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def free_id(name: str, taken: set[str]) -> str:
    """The name, numbered if it is taken, and taken from now on."""
    free, number = name, 2
    while folded(free) in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(folded(free))
    return free


def _numbered(ids: Sequence[str]) -> list[str]:
    count, taken = Counter(map(folded, ids)), set[str]()
    taken |= {folded(name) for name in ids if count[folded(name)] == 1}
    return [name if count[folded(name)] == 1 else free_id(name, taken) for name in ids]
