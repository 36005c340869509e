"""Contradictions between a slice classifier and a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medseg.errors import GeometryError
from medseg.records import Array, Mask


@dataclass(frozen=True, slots=True)
class SliceDisagreement:
    """How much a mask and a classifier contradict each other in one case.

    The mean finds a mask that differs from the probabilities everywhere; the longest run finds a part that was missed
    or invented, which hardly changes the mean over a long scan, while single slices at the end of an organ do not add
    up to a run.

    Attributes:
        mean: Mean of `|probability - shown|` over slices and classes, in [0, 1]; NaN without slices.
        longest_run: Most neighbouring slices on which one class is contradicted, over all classes.
        worst_slice: Index of the slice with the largest single difference, the first of equals; None without slices.
        worst_class: Class of that difference; None without slices.
    """

    mean: float
    longest_run: int
    worst_slice: int | None
    worst_class: str | None


def slice_disagreement(
    probabilities: Array, shows: Mask, *, classes: Sequence[str], threshold: float = 0.5
) -> SliceDisagreement:
    """Compare the probability of each class on each slice with whether the mask shows it there.

    Args:
        probabilities: Probability of each class on each slice in order, shape `(N, classes)`.
        shows: Whether the mask has any voxel of the class on the slice, bool, shape `(N, classes)`.
        classes: Names of the columns, at least one.
        threshold: Probability from which on the classifier calls a class; it is contradicted where `shows` differs.

    Raises:
        GeometryError: If the shapes differ.
    """
    probabilities, shows = np.asarray(probabilities, np.float64), np.asarray(shows, bool)
    if probabilities.shape != shows.shape or probabilities.shape[1:] != (len(classes),):
        raise GeometryError(
            f"slices: probabilities and mask must both have shape (N, {len(classes)}), got {probabilities.shape} and "
            f"{shows.shape}",
            remedy="compare the mask with the classification of the same scan and axis",
        )
    differences = np.abs(probabilities - shows)  # (N, classes)
    runs = [_longest_run(column) for column in ((probabilities >= threshold) != shows).T]
    means = differences.mean(axis=0) if len(differences) else np.full(len(classes), np.nan)
    worst = np.unravel_index(differences.argmax(), differences.shape) if len(differences) else None
    return SliceDisagreement(
        mean=float(means.mean()),
        longest_run=max(runs),
        worst_slice=None if worst is None else int(worst[0]),
        worst_class=None if worst is None else classes[int(worst[1])],
    )


def _longest_run(is_contradicted: Array) -> int:
    """Length of the longest stretch of true values."""
    changes = np.diff(np.concatenate([[0], is_contradicted.astype(np.int8), [0]]))
    return int((np.flatnonzero(changes == -1) - np.flatnonzero(changes == 1)).max(initial=0))
