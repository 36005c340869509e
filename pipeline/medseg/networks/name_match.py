"""Which of the named channels of two networks mean the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NameMatch:
    """Channels of a network that face channels of an earlier one.

    Attributes:
        wanted: Names of the network's channels, in their order.
        given: Names of the earlier network's channels, in their order.
        pairs: Index in `wanted` and index in `given` of channels that mean the same.
    """

    wanted: tuple[str, ...]
    given: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]

    @property
    def is_same(self) -> bool:
        """Whether every channel keeps its place, and none is left."""
        return len(self.wanted) == len(self.given) and self.pairs == tuple((n, n) for n in range(len(self.wanted)))

    @property
    def taken(self) -> tuple[str, ...]:
        """Names of channels that face an earlier one."""
        return tuple(self.wanted[wanted] for wanted, _ in self.pairs)

    @property
    def renamed(self) -> dict[str, str]:
        """Earlier name of each channel that faces one of another name."""
        return {self.wanted[n]: self.given[m] for n, m in self.pairs if self.wanted[n] != self.given[m]}

    @property
    def new(self) -> tuple[str, ...]:
        """Names of channels that face none."""
        facing = {wanted for wanted, _ in self.pairs}
        return tuple(name for index, name in enumerate(self.wanted) if index not in facing)

    @property
    def unused(self) -> tuple[str, ...]:
        """Names of earlier channels that no channel faces."""
        facing = {given for _, given in self.pairs}
        return tuple(name for index, name in enumerate(self.given) if index not in facing)


def match_names(wanted: Sequence[str], given: Sequence[str], *, faces_alone: bool = False) -> NameMatch:
    """Match channels whose names are exactly the same.

    Args:
        wanted: Names of the network's channels.
        given: Names of the earlier network's channels.
        faces_alone: Whether the only channel of the one faces the only channel of the other whatever their names.
    """
    pairs = tuple((index, given.index(name)) for index, name in enumerate(wanted) if name in given)
    if faces_alone and len(wanted) == len(given) == 1:
        pairs = ((0, 0),)
    return NameMatch(tuple(wanted), tuple(given), pairs)
