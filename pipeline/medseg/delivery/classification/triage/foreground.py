"""Foreground columns of a classifier's scores, and scores that cannot be ranked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.errors import ConfigError, DeliveryError, ScanError
from medseg.records import SliceScores


def foreground_columns(classes: Sequence[str], background: str | None) -> dict[int, str]:
    """Name of each class but the background by its column, in order.

    Args:
        classes: Names of all columns.
        background: Class of slices that show no structure; None, or a name not among the classes, if there is none.

    Raises:
        ConfigError: If there is no class but the background.
    """
    columns = {index: name for index, name in enumerate(classes) if name != background}
    if not columns:
        raise ConfigError(f"classes must have one beside the background {background!r}, got {list(classes)}")
    return columns


def check_columns(scores: SliceScores, classes: Sequence[str]) -> None:
    """Refuse scores that do not have a column per class, so that no number appears under a wrong name.

    Raises:
        DeliveryError: If the scores do not have a column per class.
    """
    shapes = scores.probabilities.shape, scores.study.shape
    rule = (len(scores.positions_mm), len(classes)), (len(classes),)
    if shapes != rule:
        raise DeliveryError(
            f"probabilities of slices and study must have shapes {rule[0]} and {rule[1]}, got {shapes[0]} and "
            f"{shapes[1]}",
            remedy="give the classes of the classifier that made them",
            case_id=scores.case_id,
        )


def why_unranked(scores: SliceScores, columns: list[int]) -> ScanError | None:
    """The reason why a study has no rank: it has no slices, or some number is NaN or infinite; None if it has a rank.

    Args:
        scores: Scores of the study.
        columns: Columns of the foreground.
    """
    if len(scores.positions_mm) == 0:
        return ScanError(
            "study must have slices, got none", remedy="check the scan and classify it again", case_id=scores.case_id
        )
    numbers = np.column_stack([scores.positions_mm, scores.probabilities[:, columns]])
    is_bad = ~np.isfinite(numbers).all(axis=1)
    if is_bad.any() or not np.isfinite(scores.study[columns]).all():
        where = f"{int(is_bad.sum())} of {len(is_bad)} slices" if is_bad.any() else "the study as a whole"
        return ScanError(
            f"probabilities must be numbers, got NaN or infinity on {where}",
            remedy="check the scan and classify it again",
            case_id=scores.case_id,
        )
    return None
