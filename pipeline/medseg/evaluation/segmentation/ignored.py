"""How much of the scans nobody has annotated, which all numbers leave out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np

from medseg.records import CaseMetrics, Mask


def without_ignored(row: CaseMetrics, ignored: Mask) -> CaseMetrics:
    """Metrics of a structure in which ignored voxels, taken for background in label and mask, count no more.

    That matters to accuracy and specificity, which count the background; all other values stay.

    Args:
        row: Metrics over all voxels.
        ignored: Voxels that nobody has annotated, bool, shape `(I, J, K)`.
    """
    left_out, voxels = int(np.count_nonzero(ignored)), ignored.size
    values = dict(row.values)
    for name, counted in (("accuracy", voxels), ("specificity", voxels - row.label_voxels)):
        if name in values:
            left = counted - left_out
            values[name] = (values[name] * counted - left_out) / left if left else math.nan
    return replace(row, values=values, ignored_share=left_out / voxels)


def ignored_note(rows: Sequence[CaseMetrics]) -> dict[str, Any]:
    """Entry `ignored` of a summary: the share of each case, and their mean; nothing where every voxel counts."""
    shares = {row.case_id: round(row.ignored_share, 6) for row in rows if row.ignored_share > 0}
    return {"ignored": {"mean_share": ignored_share(rows), "share_by_case": shares}} if shares else {}


def ignored_share(rows: Sequence[CaseMetrics]) -> float:
    """Mean over the measured cases of the share of voxels that is left out; 0 without a case."""
    shares = {row.case_id: row.ignored_share for row in rows}
    return fmean(shares.values()) if shares else 0.0


def ignored_text(rows: Sequence[CaseMetrics], *, is_fused: bool = False) -> tuple[str, ...]:
    """A sentence for people; none where every voxel counts.

    Args:
        rows: Metrics per case and structure.
        is_fused: Whether several raters drew a case, who may leave a voxel undecided.
    """
    share = ignored_share(rows)
    cases = len({row.case_id for row in rows if row.ignored_share > 0})
    why = "not annotated or not decided by the raters" if is_fused else "not annotated"
    said = f"{share:.1%} of the voxels, in {cases} case(s), are {why}; all numbers leave them out"
    return (said,) if cases else ()
