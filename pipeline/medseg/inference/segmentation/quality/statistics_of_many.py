"""The statistics by which masks that several models draw together are checked."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.inference.segmentation.quality.calibration import ConfidenceCalibration
from medseg.inference.segmentation.quality.statistics import TrainingStatistics


def statistics_of_many(members: Sequence[TrainingStatistics | None]) -> TrainingStatistics | None:
    """Statistics of the member with the most training cases, with the most lenient calibration of each structure.

    The calibration of one network is not that of the mean of several: it decides only from which Dice on the members'
    masks are taken to agree. None where no member has statistics.

    Args:
        members: Statistics of each model; None where its card has none.
    """
    known = [member for member in members if member is not None]
    if not known:
        return None
    lenient: dict[str, ConfidenceCalibration] = {}
    for member in known:
        for name, fitted in member.confidence.items():
            if name not in lenient or fitted.limit < lenient[name].limit:
                lenient[name] = fitted
    widest = max(known, key=lambda member: member.cases)
    return widest.model_copy(update={"confidence": lenient, "validation_cases": 0, "validation_flagged": 0})
