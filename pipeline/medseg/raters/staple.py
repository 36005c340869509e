"""STAPLE: the most probable label, where each rater weighs as much as the agreement with the others allows."""

from __future__ import annotations

import numpy as np

from medseg.raters.votes import UNDECIDED, majority, vote_counts
from medseg.records import Array

_SMALLEST_CHANGE = 1e-5  # of a rater's shares, as in ITK
_MOST_ROUNDS = 1000
_EQUAL = 1e-9


def staple(votes: Array, voxels: Array, *, classes: int) -> Array:
    """The most probable class of each voting; `UNDECIDED` where two are as probable, or nobody has voted.

    Expectation and maximisation in turn: the probability of each class from the raters' votes, and the share of each
    class that a rater calls by each name from these probabilities. They begin with the voxels that a majority decides,
    and end as in ITK's `MultiLabelSTAPLEImageFilter`, unless that has ties to begin with. ITK needs every rater in
    every voxel; here, a rater who has not annotated a voxel has no weight in it. The prior of a class is its share of
    all votes, so a large background makes small structures less probable.

    Args:
        votes: Class that each rater chose, `(votings, raters)`; `UNDECIDED` where one annotated nothing.
        voxels: Voxels of each voting, `(votings,)`.
        classes: Number of classes.

    Source: Rohlfing, Russakoff & Maurer 2003, https://doi.org/10.1007/978-3-540-45087-0_18; Warfield, Zou & Wells
        2004, https://doi.org/10.1109/TMI.2004.828354.
    """
    prior = (vote_counts(votes, classes) * voxels[:, np.newaxis]).sum(axis=0).astype(np.float64)
    if not prior.sum():
        return np.full(len(votes), UNDECIDED)
    prior /= prior.sum()
    begin = majority(votes, voxels, classes=classes)
    share = np.where(begin[:, np.newaxis] == np.arange(classes), 1.0, 0.0)
    named = _named(votes, voxels, share, classes)
    for _ in range(_MOST_ROUNDS):
        share = _probabilities(votes, named, prior)
        before, named = named, _named(votes, voxels, share, classes)
        if np.abs(named - before).max() < _SMALLEST_CHANGE:
            break
    return _most_probable(_probabilities(votes, named, prior))


def _probabilities(votes: Array, named: Array, prior: Array) -> Array:
    """Probability of each class in each voting, `(votings, classes)`; 0 where nobody has voted."""
    found = np.tile(prior, (len(votes), 1))
    for chosen, shares in zip(votes.T, named, strict=True):
        voted = chosen != UNDECIDED
        found[voted] *= shares[chosen[voted]]
    found[(votes == UNDECIDED).all(axis=1)] = 0
    total = found.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(found, total, out=np.zeros_like(found), where=total > 0))


def _named(votes: Array, voxels: Array, share: Array, classes: int) -> Array:
    """Share of each true class that each rater calls by each name, `(raters, name, class)`."""
    weighed = share * voxels[:, np.newaxis]
    named = np.zeros((votes.shape[1], classes, classes))
    for shares, chosen in zip(named, votes.T, strict=True):
        voted = chosen != UNDECIDED
        np.add.at(shares, chosen[voted], weighed[voted])
        total = shares.sum(axis=0)
        np.divide(shares, total, out=shares, where=total > 0)
    return named


def _most_probable(share: Array) -> Array:
    most = share.max(axis=1, keepdims=True)
    is_alone = (share >= most - _EQUAL).sum(axis=1) == 1
    return np.where(is_alone, share.argmax(axis=1), UNDECIDED)
