"""Representative cases: the worst, the median and the best."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from medseg.records import CaseMetrics


def representative_cases(rows: Sequence[CaseMetrics]) -> dict[str, tuple[str, float]]:
    """Case id and mean Dice over labels of the worst, median and best case; empty without any measured case."""
    dice: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if not np.isnan(row.values["dice"]):
            dice[row.case_id].append(row.values["dice"])
    if not dice:
        return {}
    means = sorted((float(np.mean(values)), case_id) for case_id, values in dice.items())
    chosen = {"worst": means[0], "median": means[len(means) // 2], "best": means[-1]}
    return {name: (case_id, mean) for name, (mean, case_id) in chosen.items()}
