"""The files slices.csv, studies.csv and classification.json."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medseg.atomic import write_json, write_text
from medseg.evaluation.classification.calibration import BINS
from medseg.evaluation.classification.summary import ClassificationSummary
from medseg.records import Array, Failure, SliceScores

CONTRACT = {
    "levels": "slice: every slice with known truth is a row; study: every case is a row",
    "unknown": "truth -1 is left out and counted",
    "one_sided": "a class with only positives or only negatives has no AUROC, average precision or sensitivity (null)",
    "ties": "equal probabilities are kept or left together; a pair of equals counts half in the AUROC",
    "threshold": "lowest given probability whose specificity is at least the stated one on these data; null: none is",
    "calibration_error": f"mean |stated - observed| over rows in {BINS} bins of equal width",
    "interval": "95 %, percentiles over patients drawn with replacement, draws without a value dropped and counted; "
    "with fewer than 20 patients, jackknife over patients on log odds with Student's t; exact at 0 and 1; none with "
    "fewer than 5 patients who show the class or, for AUROC, average precision and sensitivity, who do not",
    "means": "over the classes that have the measure",
}


def write_slices(scores: Sequence[SliceScores], path: Path, *, classes: Sequence[str]) -> None:
    """Write one line per slice of every case; unknown truth stays blank."""
    _write_columns(slice_columns(scores, classes=classes), path)


def write_studies(scores: Sequence[SliceScores], path: Path, *, classes: Sequence[str]) -> None:
    """Write one line per case; unknown truth stays blank."""
    _write_columns(study_columns(scores, classes=classes), path)


def write_classification(
    summary: ClassificationSummary,
    path: Path,
    *,
    failures: Sequence[Failure] = (),
    notes: dict[str, Any] | None = None,
) -> None:
    """Write the summary with its contract and the failed cases; values that do not exist are null."""
    content = {
        "contract": CONTRACT,
        **asdict(summary),
        "failures": [failure.row for failure in failures],
        **(notes or {}),
    }
    write_json(path, content)


def slice_columns(scores: Sequence[SliceScores], *, classes: Sequence[str]) -> dict[str, list[Any]]:
    """A row per slice as columns: its place, then probability and truth of each class; unknown truth is None."""
    counts = [len(case.positions_mm) for case in scores]
    columns: dict[str, list[Any]] = {
        "case_id": [case.case_id for case, n in zip(scores, counts, strict=True) for _ in range(n)],
        "axis": [case.axis for case, n in zip(scores, counts, strict=True) for _ in range(n)],
        "slice": [number for n in counts for number in range(n)],
        "position_mm": [float(position) for case in scores for position in case.positions_mm],
    }
    for index, name in enumerate(classes):
        columns[f"probability_{name}"] = [float(p) for case in scores for p in case.probabilities[:, index]]
    for index, name in enumerate(classes):
        columns[f"truth_{name}"] = [value for case in scores for value in _truths(case, index)]
    return columns


def study_columns(scores: Sequence[SliceScores], *, classes: Sequence[str]) -> dict[str, list[Any]]:
    """A row per case as columns: probability and truth of each class anywhere in it; unknown truth is None."""
    columns: dict[str, list[Any]] = {
        "case_id": [case.case_id for case in scores],
        "patient_id": [case.patient_id for case in scores],
        "slices": [len(case.positions_mm) for case in scores],
    }
    for index, name in enumerate(classes):
        columns[f"probability_{name}"] = [float(case.study[index]) for case in scores]
    for index, name in enumerate(classes):
        columns[f"truth_{name}"] = [
            None if case.study_truth is None else _known(case.study_truth[index]) for case in scores
        ]
    return columns


def _truths(case: SliceScores, index: int) -> list[int | None]:
    if case.truth is None:
        return [None] * len(case.positions_mm)
    return [_known(value) for value in case.truth[:, index]]


def _known(value: Array) -> int | None:
    return int(value) if value >= 0 else None


def _write_columns(columns: dict[str, list[Any]], path: Path) -> None:
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(columns)
    table.writerows([_text(value) for value in row] for row in zip(*columns.values(), strict=True))
    write_text(path, buffer.getvalue())


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
