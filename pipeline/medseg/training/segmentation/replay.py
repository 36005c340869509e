"""Old cases beside new ones in a training that continues an earlier run, so that what was learned is not forgotten."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

MOST_OFTEN = 10.0
"""How many times as often a case of one kind is drawn as one of the other, at most."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Which cases are new to the weights that a training begins with, and how often they are drawn.

    Attributes:
        fresh: Ids of the new and the corrected cases.
        share: Share of the patches that come from them, from 0 to 1.
    """

    fresh: frozenset[str]
    share: float

    @classmethod
    def of(cls, fresh: Collection[str], *, old: int, wanted: float) -> Replay:
        """The wanted share, held to what keeps a few cases from being drawn all the time.

        Args:
            fresh: Ids of the new and the corrected training cases.
            old: Count of the other training cases.
            wanted: Share that is asked for.
        """
        count = len(fresh)
        if not count or not old:
            return cls(frozenset(fresh), float(bool(count)))
        least, most = count / (count + MOST_OFTEN * old), MOST_OFTEN * count / (MOST_OFTEN * count + old)
        return cls(frozenset(fresh), min(max(wanted, least), most))

    def frequency(self, old: int) -> float:
        """How many times as often a fresh case is drawn as an old one.

        Args:
            old: Count of the old training cases, at least 1.
        """
        return self.share / len(self.fresh) / ((1 - self.share) / old)


class Turns:
    """The case of each place in an epoch: fresh and old cases take their places, each kind in turn.

    Over the epochs every fresh case comes equally often, and so does every old one.

    Args:
        cases: Ids of all training cases.
        replay: Which of them are fresh, and their share.
        places: Places of an epoch.
    """

    def __init__(self, cases: Sequence[str], replay: Replay, *, places: int) -> None:
        self._fresh = [number for number, case_id in enumerate(cases) if case_id in replay.fresh]
        self._old = [number for number, case_id in enumerate(cases) if case_id not in replay.fresh]
        least, most = int(bool(self._fresh)), places - int(bool(self._old))
        self._fresh_places = max(least, min(most, round(replay.share * places)))
        self._old_places = places - self._fresh_places

    def case_at(self, epoch: int, place: int) -> int:
        """Number of the case at a place of an epoch."""
        if place < self._fresh_places:
            return self._fresh[(epoch * self._fresh_places + place) % len(self._fresh)]
        turn = epoch * self._old_places + place - self._fresh_places
        return self._old[turn % len(self._old)]
