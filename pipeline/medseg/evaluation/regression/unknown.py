"""How much of the volumes is not known, which all numbers leave out."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from medseg.evaluation.regression.quantity_row import ALL, QuantityMetrics


def unknown_note(rows: Sequence[QuantityMetrics]) -> dict[str, Any]:
    """Entry `unknown` of a summary: by quantity the mean share and that of each case; nothing where all is known."""
    found = {}
    for quantity in dict.fromkeys(row.quantity for row in rows):
        shares = {row.case_id: row.unknown_share for row in rows if row.quantity == quantity and row.scope == ALL}
        if any(shares.values()):
            left_out = {case_id: round(share, 6) for case_id, share in shares.items() if share}
            found[quantity] = {"mean_share": fmean(shares.values()), "share_by_case": left_out}
    return {"unknown": found} if found else {}


def unknown_text(rows: Sequence[QuantityMetrics]) -> tuple[str, ...]:
    """A sentence for people for each quantity of which a part is not known."""
    return tuple(
        f"{note['mean_share']:.1%} of the voxels of {quantity}, in {len(note['share_by_case'])} case(s), are not known "
        "(NaN); all numbers leave them out"
        for quantity, note in unknown_note(rows).get("unknown", {}).items()
    )
