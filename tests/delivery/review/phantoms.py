"""Folders of masks for tests of reviews: real files and records, with masks of known voxels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from medseg.geometry import Geometry
from medseg.inference import CaseInput, input_digest
from medseg.inference.case_record import CaseRecord
from medseg.inference.mask_folder import file_sha256
from medseg.inference.model_identity import ModelIdentity
from medseg.inference.record import SOFTWARE, PredictionRecord, save_record
from medseg.inference.source_record import SourceRecord
from medseg.records import Labelmap
from medseg.scans import read_scan, write_mask

LABELS = {"background": 0, "spleen": 3, "liver": 7}
MODEL = ModelIdentity(
    dataset="abdomen 1", manifest_digest="m" * 64, plan_digest="p" * 64, weights_digest="w" * 64, trained_on=()
)


def oblique_grid(shape: tuple[int, int, int] = (9, 12, 7)) -> Geometry:
    """An anisotropic grid whose axes are ordered, flipped and tilted: k runs to the left, i upwards, j forwards."""
    angle = np.radians(12.0)
    about_s = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_s @ np.array([[0.0, 0.0, -3.0], [0.0, 1.5, 0.0], [2.0, 0.0, 0.0]])
    return Geometry(shape, affine)


def box_mask(shape: tuple[int, int, int]) -> Labelmap:
    """A liver and a spleen beside each other."""
    mask = np.zeros(shape, np.uint8)
    mask[2:6, 2:6, 1:6] = 7
    mask[2:6, 7:10, 2:5] = 3
    return mask


def write_masks(
    folder: Path, masks: dict[str, tuple[Path, Labelmap]], *, labels: dict[str, int] | None = None, **changes: Any
) -> PredictionRecord:
    """Write a folder of masks as predict does.

    Args:
        folder: Target folder.
        masks: Scan and mask of each case, by its id.
        labels: Value of each label; `LABELS` if not given.
        changes: Fields of all cases' records.
    """
    names = labels or LABELS
    cases = []
    for case_id, (image, mask) in masks.items():
        scan = read_scan(image, case_id=case_id)
        path = write_mask(mask, scan, folder, case_id=case_id)
        volumes = {
            name: float(np.count_nonzero(mask == value) * scan.geometry.voxel_ml)
            for name, value in names.items()
            if value
        }
        digest = input_digest(CaseInput(case_id, (image,)))
        fields: dict[str, Any] = {"in_training": False, "seconds": 1.0, "peak_memory_bytes": 1, "volume_ml": volumes}
        source = SourceRecord(kind="files", files=(str(image),), sha256=digest)
        proof = {"source": source, "mask_sha256": file_sha256(path)}
        cases.append(CaseRecord(case_id=case_id, mask=path.name, **fields | proof | changes))
    record = PredictionRecord(software=SOFTWARE, cases=tuple(cases), failures=(), labels=names, models=(MODEL,))
    save_record(record, folder)
    return record
