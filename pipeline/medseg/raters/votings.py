"""The votings that occur in the labels of several raters, and how many voxels each one has.

A scan has millions of voxels, but few different votings: a handful where the raters differ, and one per label where
they agree. What depends on the votes alone is computed once for each voting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medseg.raters.votes import UNDECIDED
from medseg.records import Array, Labelmap


@dataclass(frozen=True, slots=True, eq=False)
class Votings:
    """Different votings, those of agreement first.

    Attributes:
        votes: Number of the value that each rater chose, `(votings, raters)`; `UNDECIDED` where one annotated nothing.
        voxels: Voxels of each voting, `(votings,)`.
        first: Number of the first rater's value in each voxel, `(I, J, K)`, which is the voting where all agree.
        differs: Voxels in which the raters differ, `(I, J, K)`.
        voting_of: Voting of each of those voxels, in memory order.
    """

    votes: Array
    voxels: Array
    first: Array
    differs: Array
    voting_of: Array

    @classmethod
    def of(cls, readings: Sequence[Labelmap], *, values: Sequence[int], ignore: int) -> Votings:
        """The votings of some label maps.

        Args:
            readings: Label values of each rater, `(I, J, K)`.
            values: Values of the labels, rising.
            ignore: Value of voxels that a rater has not annotated.
        """
        numbers = _numbers(values, ignore)
        first = readings[0]
        differs = np.zeros(first.shape, bool)
        for other in readings[1:]:
            differs |= other != first
        apart = np.stack([numbers[reading[differs]] for reading in readings], axis=1)
        votes, voting_of, voxels = np.unique(apart, axis=0, return_inverse=True, return_counts=True)
        alike = numbers[first[~differs]]
        together = np.bincount(alike[alike != UNDECIDED], minlength=len(values))
        agreed = np.repeat(np.arange(len(values), dtype=votes.dtype)[:, np.newaxis], len(readings), axis=1)
        return cls(
            np.concatenate([agreed, votes]),
            np.concatenate([together, voxels]),
            numbers[first],
            differs,
            voting_of.reshape(-1) + len(values),
        )

    def map_of(self, of_voting: Array) -> Array:
        """The map `(I, J, K)` of a value for each voting; a voxel that no rater annotated has that of the last entry.

        Args:
            of_voting: Value of each voting, and one more for voxels without any vote.
        """
        found = of_voting[self.first]
        found[self.differs] = of_voting[self.voting_of]
        return found


def _numbers(values: Sequence[int], ignore: int) -> Array:
    """Number of each label value, and `UNDECIDED` for any other."""
    kind = np.min_scalar_type(-len(values) - 1)
    table = np.full(max(*values, ignore) + 1, UNDECIDED, kind)
    table[list(values)] = np.arange(len(values))
    return table
