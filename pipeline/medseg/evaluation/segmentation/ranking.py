"""Cases by their mean Dice: all of them, and those that represent them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from medseg.records import CaseMetrics


def ranked_cases(rows: Sequence[CaseMetrics]) -> list[tuple[str, float]]:
    """Case id and mean Dice over structures of every measured case, the worst first."""
    dice: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if not np.isnan(row.values["dice"]):
            dice[row.case_id].append(row.values["dice"])
    means = sorted((float(np.mean(values)), case_id) for case_id, values in dice.items())
    return [(case_id, mean) for mean, case_id in means]


def worst_by_structure(rows: Sequence[CaseMetrics]) -> dict[str, tuple[str, float]]:
    """Case id and Dice of the worst case of each structure that has one."""
    found: dict[str, tuple[float, str]] = {}
    for row in rows:
        dice = row.values["dice"]
        if not np.isnan(dice):
            found[row.label] = min(found.get(row.label, (np.inf, "")), (dice, row.case_id))
    return {structure: (case_id, dice) for structure, (dice, case_id) in found.items()}


def representative_cases(rows: Sequence[CaseMetrics], *, worst: int = 1) -> dict[str, tuple[str, float]]:
    """Case id and mean Dice over structures of the worst, median and best case; empty without any measured case.

    Args:
        rows: Metrics per case and structure.
        worst: Count of the worst cases, named `worst`, `worst2` and so on.
    """
    ranked = ranked_cases(rows)
    if not ranked:
        return {}
    chosen = {f"worst{n}" if n > 1 else "worst": case for n, case in enumerate(ranked[:worst], start=1)}
    return chosen | {"median": ranked[len(ranked) // 2], "best": ranked[-1]}
