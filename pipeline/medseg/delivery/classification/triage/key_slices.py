"""Key slices: the few most probable slices of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medseg.delivery.classification.triage.foreground import check_columns, foreground_columns
from medseg.records import Array, SliceScores

_APART = 5


@dataclass(frozen=True, slots=True)
class KeySlice:
    """A slice that is most probable for a class.

    Attributes:
        index: Index along the slice axis of the scan's own array, from 0.
        position_mm: Position along the patient axis that the slices follow.
        class_name: Class that the slice shows most probably.
        probability: Probability of the class, in [0, 1].
    """

    index: int
    position_mm: float
    class_name: str
    probability: float


def key_slices(
    scores: SliceScores, *, classes: Sequence[str], background: str | None, count: int = 3
) -> tuple[KeySlice, ...]:
    """The most probable slice of each foreground class, the best first, no two among five neighbouring slices.

    A class whose best slice lies next to a better one of another class has none of its own: that slice shows the place
    too. The middle one of equally probable slices is taken. Slices whose probability is NaN are left out.

    Args:
        scores: Scores of one study.
        classes: Names of the columns.
        background: Class of slices that show no structure, which has no key slice; None if there is none.
        count: Largest number of key slices.

    Raises:
        DeliveryError: If there is not a column per class.
        ConfigError: If there is no foreground class.
    """
    check_columns(scores, classes)
    best = []
    for column, name in foreground_columns(classes, background).items():
        index = _most_probable(scores.probabilities[:, column])
        if index is not None:
            position, probability = scores.positions_mm[index], scores.probabilities[index, column]
            best.append(KeySlice(index, float(position), name, float(probability)))
    kept: list[KeySlice] = []
    for one in sorted(best, key=lambda one: -one.probability):
        if len(kept) < count and all(abs(one.index - other.index) >= _APART for other in kept):
            kept.append(one)
    return tuple(kept)


def _most_probable(probabilities: Array) -> int | None:
    if not np.isfinite(probabilities).any():
        return None
    highest = np.max(probabilities[np.isfinite(probabilities)])
    equals = np.flatnonzero(probabilities == highest)
    return int(equals[(len(equals) - 1) // 2])
