"""The choice of most raters."""

from __future__ import annotations

import numpy as np

from medseg.records import Array

UNDECIDED = -1


def majority(votes: Array, voxels: Array, *, classes: int) -> Array:
    """The class that most raters chose in each voting; `UNDECIDED` where two have as many votes, or none has any.

    It is the choice of SimpleITK's `LabelVoting`, where every rater has annotated every voxel.

    Args:
        votes: Class that each rater chose, `(votings, raters)`; `UNDECIDED` where one annotated nothing.
        voxels: Voxels of each voting, which do not matter here.
        classes: Number of classes.
    """
    counts = vote_counts(votes, classes)
    most = counts.max(axis=1)
    is_alone = (counts == most[:, np.newaxis]).sum(axis=1) == 1
    return np.where(is_alone & (most > 0), counts.argmax(axis=1), UNDECIDED)


def vote_counts(votes: Array, classes: int) -> Array:
    """Number of raters who chose each class, `(votings, classes)`."""
    counts = np.zeros((len(votes), classes), np.int64)
    for chosen in votes.T:
        (voted,) = np.nonzero(chosen != UNDECIDED)
        counts[voted, chosen[voted]] += 1
    return counts
