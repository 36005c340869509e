"""Where the slice classifier and a mask contradict each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medseg.errors import GeometryError
from medseg.records import Array, Mask


@dataclass(frozen=True, slots=True)
class SliceDisagreement:
    """How much a mask and a classifier contradict each other in one case.

    The mean tells of a mask that is unlike the probabilities throughout; the longest run of a part that was missed or
    invented, which a mean over a long scan drowns, while single slices at the end of an organ do not add up to a run.

    Attributes:
        mean: Of `|probability - shown|` over slices and classes, in [0, 1]; NaN without slices.
        longest_run: Most neighbouring slices on which one class is contradicted, over all classes.
        class_means: The mean of each class.
        class_runs: The longest run of each class.
        worst_slice: Index of the slice with the largest single difference, the first of equals; None without slices.
        worst_class: Name of its class; None without slices.
    """

    mean: float
    longest_run: int
    class_means: dict[str, float]
    class_runs: dict[str, int]
    worst_slice: int | None
    worst_class: str | None


def slice_disagreement(
    probabilities: Array, shows: Mask, *, classes: Sequence[str], threshold: float = 0.5
) -> SliceDisagreement:
    """Compare the probability of each class on each slice with whether the mask shows it there.

    Args:
        probabilities: In the order of the slices, shape `(N, classes)`.
        shows: Whether the mask has any voxel of the class on the slice, bool, shape `(N, classes)`.
        classes: Names of the columns, at least one.
        threshold: A class is contradicted where `probability >= threshold` and `shows` differ.

    Raises:
        GeometryError: If the shapes differ.
    """
    probabilities, shows = np.asarray(probabilities, np.float64), np.asarray(shows, bool)
    if probabilities.shape != shows.shape or probabilities.shape[1:] != (len(classes),):
        raise GeometryError(
            f"slices: probabilities and mask must both have shape (N, {len(classes)}), got {probabilities.shape} and "
            f"{shows.shape}; compare the mask with the classification of the same scan and axis"
        )
    differences = np.abs(probabilities - shows)  # (N, classes)
    runs = [_longest_run(column) for column in ((probabilities >= threshold) != shows).T]
    means = differences.mean(axis=0) if len(differences) else np.full(len(classes), np.nan)
    worst = np.unravel_index(differences.argmax(), differences.shape) if len(differences) else None
    return SliceDisagreement(
        mean=float(means.mean()),
        longest_run=max(runs),
        class_means=dict(zip(classes, means.tolist(), strict=True)),
        class_runs=dict(zip(classes, runs, strict=True)),
        worst_slice=None if worst is None else int(worst[0]),
        worst_class=None if worst is None else classes[int(worst[1])],
    )


def _longest_run(is_contradicted: Array) -> int:
    """Length of the longest stretch of true values."""
    changes = np.diff(np.concatenate([[0], is_contradicted.astype(np.int8), [0]]))
    return int((np.flatnonzero(changes == -1) - np.flatnonzero(changes == 1)).max(initial=0))
