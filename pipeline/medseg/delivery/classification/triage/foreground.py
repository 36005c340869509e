"""Which columns of a classifier's scores say that something is there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.errors import ConfigError, DeliveryError
from medseg.records import SliceScores


def foreground_columns(classes: Sequence[str], background: str | None) -> dict[int, str]:
    """Name of each class that means something by its column, in order.

    Args:
        classes: Names of all columns.
        background: The class of slices that show nothing; None, or a name that is not among them, if there is none.

    Raises:
        ConfigError: If nothing but the background is left.
    """
    columns = {index: name for index, name in enumerate(classes) if name != background}
    if not columns:
        raise ConfigError(f"classes must have one beside the background {background!r}, got {list(classes)}")
    return columns


def check_columns(scores: SliceScores, classes: Sequence[str]) -> None:
    """Refuse scores that do not have a column per class, so that no number stands under a wrong name.

    Raises:
        DeliveryError: If they do not.
    """
    shapes = scores.probabilities.shape, scores.study.shape
    rule = (len(scores.positions_mm), len(classes)), (len(classes),)
    if shapes != rule:
        raise DeliveryError(
            f"case {scores.case_id}: probabilities of slices and study must have shapes {rule[0]} and {rule[1]}, got "
            f"{shapes[0]} and {shapes[1]}; give the classes of the classifier that made them"
        )


def why_unranked(scores: SliceScores, columns: list[int]) -> str | None:
    """Why a study has no place in a ranking: it has no slices, or some number is NaN or infinite; None if it has one.

    Args:
        scores: Of the study.
        columns: Those of the foreground.
    """
    if len(scores.positions_mm) == 0:
        return f"case {scores.case_id}: study must have slices, got none; look at the scan"
    numbers = np.column_stack([scores.positions_mm, scores.probabilities[:, columns]])
    is_bad = ~np.isfinite(numbers).all(axis=1)
    if is_bad.any() or not np.isfinite(scores.study[columns]).all():
        where = f"{int(is_bad.sum())} of {len(is_bad)} slices" if is_bad.any() else "the study as a whole"
        return f"case {scores.case_id}: probabilities must be numbers, got NaN or infinity on {where}; look at the scan"
    return None
