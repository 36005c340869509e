"""The scores of many cases, stacked: one row per slice or per study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medseg.errors import GeometryError, ScanError
from medseg.records import Array, SliceScores

Level = Literal["slice", "study"]


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Probabilities and truth of all slices, or of all studies.

    Attributes:
        probabilities: Probabilities in [0, 1], float64, shape `(N, classes)`.
        truth: Truth 1, 0 or -1 for unknown, int8, shape `(N, classes)`.
        owners: Index of each row's patient into `patients`, shape `(N,)`.
        patients: Patient ids, sorted.
    """

    probabilities: Array
    truth: Array
    owners: Array
    patients: tuple[str, ...]

    def known(self, index: int) -> tuple[Array, Array, Array]:
        """Probabilities, truth and owners of the rows that have a known truth for one class."""
        rows = self.truth[:, index] >= 0
        return self.probabilities[rows, index], self.truth[rows, index], self.owners[rows]

    def decided(self) -> Array:
        """Whether each row is of exactly one class, as multi-class truth is, bool, shape `(N,)`."""
        return np.asarray((self.truth == 1).sum(axis=1) == 1)


def stack_scores(scores: Sequence[SliceScores], *, classes: Sequence[str], level: Level) -> ScoreTable:
    """One table of all cases; a case without truth counts as unknown.

    Args:
        scores: Scores of each case; may be empty.
        classes: Names of the columns.
        level: `slice` for a row per slice, `study` for a row per case.

    Raises:
        GeometryError: If a case's arrays do not fit each other or the classes.
        ScanError: If a probability is outside [0, 1] or NaN, or a truth is none of -1, 0 and 1.
    """
    patients = tuple(sorted({case.patient_id for case in scores}))
    place = {patient: index for index, patient in enumerate(patients)}
    parts = [_case_rows(case, len(classes), level) for case in scores]
    width = (0, len(classes))
    return ScoreTable(
        probabilities=np.concatenate([np.empty(width), *(part[0] for part in parts)]),
        truth=np.concatenate([np.empty(width, np.int8), *(part[1] for part in parts)]),
        owners=np.repeat(
            np.array([place[case.patient_id] for case in scores], np.intp),
            np.array([len(part[0]) for part in parts], np.intp),
        ),
        patients=patients,
    )


def _case_rows(case: SliceScores, width: int, level: Level) -> tuple[Array, Array]:
    is_slice = level == "slice"
    rows = len(case.positions_mm) if is_slice else 1
    given, reference = (case.probabilities, case.truth) if is_slice else (case.study, case.study_truth)
    expected = (rows, width) if is_slice else (width,)
    for name, part in (("probabilities", given), ("truth", reference)):
        if part is not None and np.shape(part) != expected:
            raise GeometryError(
                f"{level} {name} must have shape {expected}, got {np.shape(part)}",
                remedy="classify the case again with the same classes",
                case_id=case.case_id,
            )
    probabilities = np.asarray(given, np.float64).reshape(rows, width)
    truth = np.full((rows, width), -1) if reference is None else np.asarray(reference).reshape(rows, width)
    _check_values(case.case_id, probabilities, truth)
    return probabilities, truth.astype(np.int8)


def _check_values(case_id: str, probabilities: Array, truth: Array) -> None:
    wrong = probabilities[~((probabilities >= 0) & (probabilities <= 1))]
    if wrong.size:
        fact = f"probabilities must lie in [0, 1], got {wrong[0]}"
        raise ScanError(fact, remedy="classify the case again", case_id=case_id)
    strange = truth[~np.isin(truth, (-1, 0, 1))]
    if strange.size:
        fact = f"truth must be 1, 0 or -1 for unknown, got {strange[0]}"
        raise ScanError(fact, remedy="fix its slice labels", case_id=case_id)
