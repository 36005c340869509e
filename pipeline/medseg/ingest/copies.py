"""Exports of a series beside the series itself: the same voxels twice could put one patient into two folds."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from medseg.geometry import Geometry, significant
from medseg.ingest.case_build import CaseBuild
from medseg.ingest.case_record import CaseRecord
from medseg.ingest.refusal import Refusal
from medseg.records import Array

COPY = Refusal("copy", "its voxels are those of another image of the source, which is taken instead")
LABEL_OF_COPY = Refusal("copy", f"a label of a copy: {COPY.message}")


def set_aside_copies(builds: Sequence[CaseBuild], records: Mapping[str, CaseRecord]) -> list[CaseBuild]:
    """Refuse files that hold the voxels of a DICOM series of the source.

    Of the two the one with a label is kept, the series if both have one. Two series, or two files, with the same voxels
    are left for the audit to report: two patients may have been mixed up.

    Args:
        builds: All cases.
        records: Cases that were built.

    Returns:
        All cases in the same order. Copies are refused. A file that is kept in place of a series gets the patient of
        that series, so that it stays with the patient's other series.
    """
    groups: dict[tuple[str, ...], list[CaseBuild]] = defaultdict(list)
    for build in builds:
        if build.case_id in records:
            groups[records[build.case_id].image.voxels_sha256].append(build)
    changed: dict[str, CaseBuild] = {}
    for group in groups.values():
        if any(build.reference.found for build in group):
            kept = max(group, key=lambda build: _rank(build, records[build.case_id]))
            changed |= _changes(kept, [build for build in group if build is not kept])
    return [changed.get(build.case_id, build) for build in builds]


def _changes(kept: CaseBuild, others: Sequence[CaseBuild]) -> dict[str, CaseBuild]:
    """The changed cases of one image, by their id."""
    copies = [other for other in others if other.reference.found is None or kept.reference.found is None]
    series = [copy for copy in copies if copy.reference.found is not None]
    changed = {copy.case_id: replace(copy, refusal=COPY) for copy in copies}
    if series:
        changed[kept.case_id] = replace(kept, patient_id=series[-1].patient_id)
    return changed


def voxel_digest(array: Array, grid: Geometry) -> str:
    """SHA-256 of voxels of shape `(C, I, J, K)` in RAS order, independent of their type and the order of the axes."""
    turned = grid.reoriented("RAS")
    maps = turned.axis_maps(grid)
    flips = tuple(slice(None, None, -1 if one.scale < 0 else 1) for one in maps)
    digest = hashlib.sha256(repr((turned.shape, [significant(mm, 4) for mm in turned.spacing_mm])).encode())
    for channel in array:
        for plane in channel.transpose([one.source_axis for one in maps])[flips].T:
            digest.update(np.ascontiguousarray(plane, dtype=np.float32).data)
    return digest.hexdigest()


def _rank(build: CaseBuild, record: CaseRecord) -> tuple[bool, bool, bool, str]:
    return (
        record.quantities is not None,
        record.label_path is not None,
        build.reference.found is not None,
        build.reference.key,
    )
