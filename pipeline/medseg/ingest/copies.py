"""Exports of a series that lie beside it: the same voxels twice would put one patient into two places."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from medseg.geometry import Geometry
from medseg.ingest.case_build import CaseBuild
from medseg.records import Array

REASON = "its voxels are those of another image of the source, which is taken instead"


def set_aside_copies(plans: Sequence[CaseBuild], records: dict[str, dict[str, Any]]) -> list[str]:
    """Take files out of the dataset that hold the voxels of a DICOM series of the source.

    Of the two the one with a label is kept, the series if both have one. Two series, or two files, with the same voxels
    are left for the audit to tell of: they may be two patients mixed up.

    Args:
        plans: Of all cases; those that are set aside are marked.
        records: Of the cases that were built; those that are set aside are removed.

    Returns:
        The ids of the cases that were set aside.
    """
    groups: dict[tuple[str, ...], list[CaseBuild]] = defaultdict(list)
    for plan in plans:
        if plan.case_id in records:
            groups[tuple(records[plan.case_id]["image"]["voxels_sha256"])].append(plan)
    aside = []
    for group in groups.values():
        if not any(plan.reference.found for plan in group):
            continue
        kept = max(group, key=lambda plan: _rank(plan, records))
        for plan in group:
            if plan is not kept and (plan.reference.found is None or kept.reference.found is None):
                if plan.reference.found is not None:
                    kept.patient_id = plan.patient_id  # whose other series must stay with it
                plan.refusal, plan.is_aside = REASON, True
                records.pop(plan.case_id)
                aside.append(plan.case_id)
    return aside


def voxel_digest(array: Array, grid: Geometry) -> str:
    """SHA-256 of voxels of shape `(C, I, J, K)` turned to RAS, whatever their type and the order of the axes."""
    turned = grid.reoriented("RAS")
    maps = turned.axis_maps(grid)
    flips = tuple(slice(None, None, -1 if one.scale < 0 else 1) for one in maps)
    digest = hashlib.sha256(repr((turned.shape, np.round(turned.spacing_mm, 3).tolist())).encode())
    for channel in array:
        for plane in channel.transpose([one.source_axis for one in maps])[flips].T:
            digest.update(np.ascontiguousarray(plane, dtype=np.float32).data)
    return digest.hexdigest()


def _rank(plan: CaseBuild, records: dict[str, dict[str, Any]]) -> tuple[bool, bool, str]:
    has_label = bool(records[plan.case_id].get("label", {}).get("label"))
    return has_label, plan.reference.found is not None, plan.reference.key
