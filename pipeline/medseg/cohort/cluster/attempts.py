"""Which item is worked on next, and beside what: an item whose worker died is tried again with ever less beside it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

MOST_DEATHS = 3
"""Workers that an item may end before it counts as failed: beside others, alone in a worker, alone on a machine."""

MOST_LOSSES = 10
"""Machines that may be lost while they work on an item, which is seldom the item's fault."""


class Seat(Protocol):
    """A worker, as far as the distribution of items is concerned."""

    @property
    def node_id(self) -> str:
        """Machine of the worker."""

    @property
    def places(self) -> Sequence[int]:
        """Items that it works on, by their places."""


@dataclass(slots=True)
class _Trials:
    """What happened to an item so far."""

    deaths: int = 0
    losses: int = 0
    last_node: str = ""


@dataclass(slots=True)
class Attempts:
    """The items that wait, and what happened to those that were tried.

    Attributes:
        at_once: Items that a worker may work on at once; more than one lets it read while it computes.
    """

    at_once: int
    _fresh: deque[int]
    _again: list[int] = field(default_factory=list)
    _trials: dict[int, _Trials] = field(default_factory=dict)

    @classmethod
    def of(cls, count: int, *, at_once: int) -> Attempts:
        """Nothing tried yet of a number of items."""
        return cls(at_once, deque(range(count)))

    @property
    def waiting(self) -> int:
        """Number of items that wait."""
        return len(self._fresh) + len(self._again)

    def give(self, seats: Sequence[Seat]) -> tuple[int, Seat] | None:
        """The next item and its worker; None if none may begin now.

        Items that ended a worker come first. Their worker, or their machine, is given nothing else until it is idle.
        """
        held = {id(seat) for seat in seats if self._is_held(seat, seats)}
        for place in self._again:
            groups = [group for group in self._groups(place, seats) if not held & {id(seat) for seat in group}]
            if not groups:
                continue
            last = self._trials[place].last_node
            group = min(groups, key=lambda group: (group[0].node_id == last, sum(len(seat.places) for seat in group)))
            if not any(seat.places for seat in group):
                self._again.remove(place)
                return place, group[0]
            held |= {id(seat) for seat in group}
        free = [seat for seat in seats if id(seat) not in held and len(seat.places) < self.at_once]
        if not free or not self._fresh:
            return None
        return self._fresh.popleft(), min(free, key=lambda seat: len(seat.places))

    def worker_died(self, places: Iterable[int], node_id: str, *, is_machine_lost: bool) -> list[int]:
        """Take back what a worker worked on.

        Returns:
            Items that have ended so many workers that they are not tried again.
        """
        lost = []
        for place in places:
            trials = self._trials.setdefault(place, _Trials())
            trials.last_node = node_id
            trials.losses += is_machine_lost
            trials.deaths += not is_machine_lost
            if trials.deaths >= MOST_DEATHS or trials.losses >= MOST_LOSSES:
                lost.append(place)
            else:
                self._again.append(place)
        return lost

    def lacks_memory(self, place: int, node_id: str) -> bool:
        """Whether an item whose work lacked memory is tried again, with less beside it; it then waits again."""
        trials = self._trials.setdefault(place, _Trials())
        if trials.deaths >= MOST_DEATHS - 1:
            return False
        trials.deaths += 1
        trials.last_node = node_id
        self._again.append(place)
        return True

    def _groups(self, place: int, seats: Sequence[Seat]) -> list[list[Seat]]:
        """The workers of which one would do an item while the others idle."""
        if not self._is_alone(place):
            return [[seat] for seat in seats]
        nodes = dict.fromkeys(seat.node_id for seat in seats)
        return [[seat for seat in seats if seat.node_id == node] for node in nodes]

    def _is_alone(self, place: int) -> bool:
        """Whether an item is tried alone on its machine."""
        return place in self._trials and self._trials[place].deaths >= MOST_DEATHS - 1

    def _is_held(self, seat: Seat, seats: Sequence[Seat]) -> bool:
        """Whether a worker does, or idles for, an item that ended a worker before."""
        if any(place in self._trials for place in seat.places):
            return True
        return any(self._is_alone(place) for other in seats if other.node_id == seat.node_id for place in other.places)
