"""Probabilities of a head's classes for one scan."""

from __future__ import annotations

import numpy as np

from medseg.geometry import Geometry
from medseg.inference.head_record import HeadRecord
from medseg.inference.segmentation.head.card import HeadCard
from medseg.inference.segmentation.head.slice_map import slice_positions_mm
from medseg.records import Array, SliceScores

_DIGITS = 6


def head_scores(
    logits: Array, card: HeadCard, native: Geometry, *, case_id: str, patient_id: str, truth: Array | None = None
) -> SliceScores:
    """Probabilities of slices and of the scan; a head of studies has no slices, one of slices the highest of them.

    Args:
        logits: Logits `(slices, classes)`, or `(1, classes)` of a head of studies; NaN where the network sees nothing.
        card: Classes and temperature.
        native: The scan's own grid.
        case_id: Id of the case.
        patient_id: Patient that the case belongs to.
        truth: Truth of the same shape, if it is known.
    """
    target = card.target
    found = target.activate(logits, temperature=card.temperature)
    if card.level == "study":
        none = np.zeros((0, len(card.classes)))
        return SliceScores(
            case_id,
            patient_id,
            2,
            np.zeros(0),
            none,
            found[0],
            truth=None if truth is None else none.astype(np.int8),
            study_truth=None if truth is None else truth[0],
        )
    return SliceScores(
        case_id,
        patient_id,
        2,
        slice_positions_mm(native),
        found,
        found.max(axis=0),
        truth=truth,
        study_truth=None if truth is None else target.any_truth(truth),
    )


def record_of(scores: SliceScores, card: HeadCard) -> HeadRecord:
    """The record of a scan's probabilities."""
    return HeadRecord(
        level=card.level,
        classes=card.classes,
        positions_mm=tuple(_rounded(scores.positions_mm)),
        slices=tuple(tuple(_rounded(row)) for row in scores.probabilities),
        study=tuple(_rounded(scores.study)),
    )


def scores_of(record: HeadRecord, *, case_id: str, patient_id: str, truth: Array | None = None) -> SliceScores:
    """The probabilities of a record, with the truth if it is known."""
    classes = len(record.classes)
    is_study = record.level == "study"
    none = np.zeros((0, classes), np.int8)
    any_truth = None if truth is None else truth[0] if is_study else record.target.any_truth(truth)
    return SliceScores(
        case_id,
        patient_id,
        2,
        np.array(record.positions_mm),
        np.array(record.slices).reshape(-1, classes),
        np.array(record.study),
        truth=None if truth is None else none if is_study else truth,
        study_truth=any_truth,
    )


def _rounded(values: Array) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values]
