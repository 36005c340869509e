"""dataset.json: the scans of a dataset, the meaning of their labels, and the folds of their patients."""

from __future__ import annotations

from medseg.manifest.case_scans import CaseScans, read_case, read_case_image, read_case_label
from medseg.manifest.digest import manifest_digest
from medseg.manifest.document import ManifestDocument, manifest_schema
from medseg.manifest.folds import assign_folds, split_fold
from medseg.manifest.load import load_manifest
from medseg.manifest.modalities import MixedChannel, mixed_channels
from medseg.manifest.region_checks import require_plain
from medseg.manifest.save import save_manifest
from medseg.manifest.select_cases import select_cases
from medseg.manifest.target import (
    by_value,
    case_target,
    manifest_target,
    partial_target,
    training_target,
    unannotated,
    without_mask,
)

__all__ = [
    "CaseScans",
    "ManifestDocument",
    "MixedChannel",
    "assign_folds",
    "by_value",
    "case_target",
    "load_manifest",
    "manifest_digest",
    "manifest_schema",
    "manifest_target",
    "mixed_channels",
    "partial_target",
    "read_case",
    "read_case_image",
    "read_case_label",
    "require_plain",
    "save_manifest",
    "select_cases",
    "split_fold",
    "training_target",
    "unannotated",
    "without_mask",
]
