"""dataset.json: which scans there are, what their labels mean, who belongs to which fold."""

from __future__ import annotations

from pipeline.manifest.case_scans import CaseScans, read_case, read_case_image, read_case_label
from pipeline.manifest.digest import manifest_digest
from pipeline.manifest.document import ManifestDocument, manifest_schema
from pipeline.manifest.folds import assign_folds, split_fold
from pipeline.manifest.load import load_manifest
from pipeline.manifest.save import save_manifest

__all__ = [
    "CaseScans",
    "ManifestDocument",
    "assign_folds",
    "load_manifest",
    "manifest_digest",
    "manifest_schema",
    "read_case",
    "read_case_image",
    "read_case_label",
    "save_manifest",
    "split_fold",
]
