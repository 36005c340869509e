"""Cases of a quantity by their mean absolute error."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.evaluation.regression.quantity_row import ALL, QuantityMetrics


def representative_volumes(rows: Sequence[QuantityMetrics], quantity: str) -> dict[str, QuantityMetrics]:
    """The worst, the best and the median case of a quantity by its MAE over all voxels, each case once.

    Args:
        rows: Metrics per case, quantity and part.
        quantity: Name of the quantity.

    Returns:
        Row of the case by its place; empty without a case.
    """
    counted = [row for row in rows if row.quantity == quantity and row.scope == ALL and row.voxels]
    ranked = sorted(counted, key=lambda row: (-row.values["mae"], row.case_id))
    if not ranked:
        return {}
    chosen: dict[str, QuantityMetrics] = {}
    for place, row in (("worst", ranked[0]), ("best", ranked[-1]), ("median", ranked[len(ranked) // 2])):
        if row.case_id not in {other.case_id for other in chosen.values()}:
            chosen[place] = row
    return chosen
