"""Representative slices and studies: the most confident hits and misses, the worst and the best studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from medseg.records import SliceScores
from medseg.targets import ClassKind, called_classes


@dataclass(frozen=True, slots=True)
class RepresentativeSlice:
    """A slice worth a picture.

    Attributes:
        case_id: Id of the case.
        slice: Index along the case's axis.
        class_name: Name of the class.
        probability: Probability of the class.
        truth: Whether the slice shows the class.
        is_hit: Whether the classifier agrees.
    """

    case_id: str
    slice: int
    class_name: str
    probability: float
    truth: bool
    is_hit: bool


class RepresentativeSlices(NamedTuple):
    """Representative slices of one class, the most confident first."""

    hits: tuple[RepresentativeSlice, ...]
    misses: tuple[RepresentativeSlice, ...]


def representative_slices(
    scores: Sequence[SliceScores], *, classes: Sequence[str], kind: ClassKind, count: int = 3, threshold: float = 0.5
) -> dict[str, RepresentativeSlices]:
    """The most confident right and wrong slices of each class, at most one of each per case.

    Neighbouring slices look alike, so each case gives its most confident one. A hit shows the class and is called for
    it; hits are sorted by falling probability. A miss is called without showing the class, or shows it without being
    called; misses are sorted by falling `|probability - truth|`. Slices of unknown truth are in neither.

    Args:
        scores: Scores of each case.
        classes: Names of the columns.
        kind: Multi-label calls `probability >= threshold`, multi-class the most probable class (the earlier of equals).
        count: Largest number of hits, and of misses, per class.
        threshold: Least probability that multi-label calls.
    """
    return {
        name: RepresentativeSlices(
            *(
                _most_confident(
                    [_best_of_case(case, index, name, kind, threshold, hits=hits) for case in scores], count
                )
                for hits in (True, False)
            )
        )
        for index, name in enumerate(classes)
    }


def rank_studies(scores: Sequence[SliceScores]) -> tuple[tuple[str, float], ...]:
    """Case id and mean `|probability - truth|` over known slices and classes, the worst case first.

    Cases without known truth are left out.
    """
    errors = []
    for case in scores:
        is_known = np.zeros(0, bool) if case.truth is None else case.truth >= 0
        if case.truth is not None and is_known.any():
            difference = np.abs(case.probabilities.astype(np.float64) - case.truth)
            errors.append((case.case_id, float(difference[is_known].mean())))
    return tuple(sorted(errors, key=lambda item: (-item[1], item[0])))


def representative_studies(scores: Sequence[SliceScores]) -> dict[str, tuple[str, float]]:
    """Case id and error of the worst, median and best study; empty without any known truth."""
    ranked = rank_studies(scores)
    if not ranked:
        return {}
    return {"worst": ranked[0], "median": ranked[len(ranked) // 2], "best": ranked[-1]}


def _best_of_case(
    case: SliceScores, index: int, name: str, kind: ClassKind, threshold: float, *, hits: bool
) -> RepresentativeSlice | None:
    if case.truth is None or not len(case.truth):
        return None
    probabilities, truth = case.probabilities[:, index].astype(np.float64), case.truth[:, index]
    is_called = called_classes(case.probabilities, kind, threshold=threshold)[:, index]
    wanted = (is_called & (truth == 1)) if hits else (truth >= 0) & (is_called != (truth == 1))
    if not wanted.any():
        return None
    confidence = probabilities if hits else np.abs(probabilities - truth)
    place = int(np.where(wanted, confidence, -1).argmax())
    return RepresentativeSlice(case.case_id, place, name, float(probabilities[place]), bool(truth[place] == 1), hits)


def _most_confident(found: Sequence[RepresentativeSlice | None], count: int) -> tuple[RepresentativeSlice, ...]:
    there = [one for one in found if one is not None]
    return tuple(
        sorted(there, key=lambda one: (-abs(one.probability - (one.truth != one.is_hit)), one.case_id))[:count]
    )
