"""dataset.json: the scans of a dataset, the meaning of their labels, and the folds of their patients."""

from __future__ import annotations

from medseg.manifest.case_quantities import CaseQuantities, read_case_quantities, read_case_with_quantities
from medseg.manifest.case_scans import (
    CaseReadings,
    CaseScans,
    read_case,
    read_case_image,
    read_case_label,
    read_case_readings,
    read_raters,
)
from medseg.manifest.digest import manifest_digest
from medseg.manifest.document import ManifestDocument, manifest_schema
from medseg.manifest.folds import assign_folds, split_fold
from medseg.manifest.load import load_manifest
from medseg.manifest.modalities import MixedChannel, mixed_channels
from medseg.manifest.quantity_checks import has_reference, is_regression, require_no_quantities
from medseg.manifest.region_checks import require_plain
from medseg.manifest.save import save_manifest
from medseg.manifest.select_cases import select_cases
from medseg.manifest.target import (
    by_value,
    case_target,
    manifest_target,
    output_channels,
    quantity_target,
    training_target,
    unannotated,
    without_mask,
)
from medseg.manifest.task import is_of_quantities

__all__ = [
    "CaseQuantities",
    "CaseReadings",
    "CaseScans",
    "ManifestDocument",
    "MixedChannel",
    "assign_folds",
    "by_value",
    "case_target",
    "has_reference",
    "is_of_quantities",
    "is_regression",
    "load_manifest",
    "manifest_digest",
    "manifest_schema",
    "manifest_target",
    "mixed_channels",
    "output_channels",
    "quantity_target",
    "read_case",
    "read_case_image",
    "read_case_label",
    "read_case_quantities",
    "read_case_readings",
    "read_case_with_quantities",
    "read_raters",
    "require_no_quantities",
    "require_plain",
    "save_manifest",
    "select_cases",
    "split_fold",
    "training_target",
    "unannotated",
    "without_mask",
]
