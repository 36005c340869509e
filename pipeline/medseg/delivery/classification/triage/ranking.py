"""The ranking of studies by probability, and its table."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from medseg.atomic import write_text
from medseg.delivery.classification.triage.foreground import check_columns, foreground_columns, why_unranked
from medseg.delivery.classification.triage.key_slices import key_slices
from medseg.delivery.classification.triage.legible import legible
from medseg.records import SliceScores


class RankedStudy(NamedTuple):
    """One study in the ranking.

    Attributes:
        case_id: Id of the study.
        probability: Highest probability of any foreground class; NaN if the classifier gave no number.
        class_name: Class of that probability; empty if the classifier gave no number.
    """

    case_id: str
    probability: float
    class_name: str


def rank_by_probability(
    studies: Sequence[SliceScores], classes: Sequence[str], background: str | None
) -> list[RankedStudy]:
    """Studies by their highest probability of any foreground class, the highest first.

    Studies with a number that is NaN or infinite come before all others, so that they are not overlooked; equal ones
    are sorted by case id.

    Raises:
        DeliveryError: If a study does not have a column per class.
        ConfigError: If there is no foreground class.
    """
    columns = foreground_columns(classes, background)
    return [_ranked(studies[index], columns) for index in ranking_order(studies, classes, list(columns))]


def ranking_order(studies: Sequence[SliceScores], classes: Sequence[str], columns: list[int]) -> list[int]:
    """Indices of the studies, sorted by their highest probability in some columns as in `rank_by_probability`."""
    for scores in studies:
        check_columns(scores, classes)

    def place(index: int) -> tuple[float, str]:
        scores = studies[index]
        is_unranked = why_unranked(scores, columns) is not None
        return -math.inf if is_unranked else -float(scores.study[columns].max()), scores.case_id

    return sorted(range(len(studies)), key=place)


def save_ranking(studies: Sequence[SliceScores], path: Path, *, classes: Sequence[str], background: str | None) -> None:
    """Write a CSV with a line per study, the most probable first.

    Its columns are `rank, case_id, probability, class, key_slices`, the key slices as `index:class:probability` joined
    by spaces (blanks and colons of a class name as `%20` and `%3A`), and `probability_<class>` for each foreground
    class. A study without numbers comes first, with a blank rank and blank numbers.

    Args:
        studies: Studies in any order.
        path: Target file.
        classes: Names of the columns.
        background: Class of slices that show no structure; None if there is none.
    """
    columns = foreground_columns(classes, background)
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    per_class = [f"probability_{name}" for name in columns.values()]
    table.writerow(["rank", "case_id", "probability", "class", "key_slices", *per_class])
    rank = 0
    for index in ranking_order(studies, classes, list(columns)):
        scores, ranked = studies[index], _ranked(studies[index], columns)
        if math.isnan(ranked.probability):
            table.writerow(["", legible(scores.case_id), "", "", "", *([""] * len(columns))])
            continue
        rank += 1
        keys = key_slices(scores, classes=classes, background=background)
        shown = " ".join(f"{key.index}:{_quoted(key.class_name)}:{key.probability:.6g}" for key in keys)
        numbers = [f"{scores.study[column]:.6g}" for column in columns]
        row = [rank, legible(ranked.case_id), f"{ranked.probability:.6g}", ranked.class_name, shown, *numbers]
        table.writerow(row)
    write_text(path, buffer.getvalue())


def _ranked(scores: SliceScores, columns: dict[int, str]) -> RankedStudy:
    if why_unranked(scores, list(columns)) is not None:
        return RankedStudy(scores.case_id, math.nan, "")
    best = max(columns, key=lambda column: float(scores.study[column]))
    return RankedStudy(scores.case_id, float(scores.study[best]), columns[best])


def _quoted(name: str) -> str:
    """A class name in which the separators of the column do not occur."""
    return re.sub(r"[\s:%]", lambda found: quote(found[0]), name)
