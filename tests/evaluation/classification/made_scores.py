"""Made-up slice scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from medseg.records import Array, SliceScores


def case_of(
    probabilities: Sequence[Any] | Array,
    truth: Sequence[Any] | Array | None,
    *,
    case_id: str = "a",
    patient_id: str = "",
    study: Sequence[float] | None = None,
    study_truth: Sequence[int] | None = None,
    positions: Sequence[float] | None = None,
) -> SliceScores:
    """A case; rows of single numbers are slices of one class, the study is the highest slice unless given."""
    given = np.asarray(probabilities, float)
    given = given[:, np.newaxis] if given.ndim == 1 else given
    reference = None if truth is None else np.asarray(truth, int).reshape(given.shape)
    highest = given.max(axis=0, initial=0)
    anywhere = None if reference is None else reference.max(axis=0, initial=-1)
    return SliceScores(
        case_id=case_id,
        patient_id=patient_id or case_id,
        axis=1,
        positions_mm=np.arange(len(given)) * 2.0 if positions is None else np.asarray(positions, float),
        probabilities=given,
        study=highest if study is None else np.asarray(study, float),
        truth=reference,
        study_truth=anywhere if study_truth is None else np.asarray(study_truth),
    )


def random_cohort(
    seed: int, *, cases: int = 12, slices: int = 9, classes: int = 2, unknown: float = 0.1, decimals: int = 1
) -> list[SliceScores]:
    """Two cases per patient, probabilities with many ties, some truth unknown."""
    random = np.random.default_rng(seed)
    cohort = []
    for number in range(cases):
        truth = (random.random((slices, classes)) < 0.4).astype(int)
        probabilities = np.round(np.clip(0.3 * truth + 0.7 * random.random(truth.shape), 0, 1), decimals)
        truth[random.random(truth.shape) < unknown] = -1
        cohort.append(
            case_of(
                probabilities,
                truth,
                case_id=f"case_{number:02d}",
                patient_id=f"patient_{number // 2}",
                study_truth=(random.random(classes) < 0.5).astype(int).tolist(),
            )
        )
    return cohort


def random_choices(seed: int, *, cases: int = 10, slices: int = 8, classes: int = 7) -> list[SliceScores]:
    """Multi-class: one class per slice, a few slices unknown."""
    random = np.random.default_rng(seed)
    cohort = []
    for number in range(cases):
        truth = np.eye(classes, dtype=int)[random.integers(classes, size=slices)]
        logits = random.normal(size=truth.shape) + 1.5 * truth
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        truth[0] = -1 if number % 3 == 0 else truth[0]
        cohort.append(
            case_of(
                probabilities,
                truth,
                case_id=f"case_{number}",
                study=probabilities.mean(axis=0).tolist(),
                study_truth=np.eye(classes, dtype=int)[number % classes].tolist(),
            )
        )
    return cohort
