"""Leaks that an audit of the dataset has found in the voxels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medseg.errors import ManifestError
from medseg.records import Manifest

AUDIT_NAME = "audit.json"


def check_audited(manifest: Manifest, folder: Path) -> tuple[str, ...]:
    """Check a manifest for the duplicates in the dataset's `audit.json`, if there is one.

    Only pairs that still have two patients in the manifest count, so an audit of an older version does no harm.

    Args:
        manifest: Manifest to be split.
        folder: Folder of the manifest.

    Returns:
        A sentence for each pair that looks alike, and one if the audit cannot be read.

    Raises:
        ManifestError: If the audit found one image under two patients.
    """
    path = folder / AUDIT_NAME
    if not path.is_file():
        return ()
    patient_of = {case.case_id: case.patient_id for case in manifest.cases}
    try:
        findings = json.loads(path.read_text(encoding="utf-8"))["findings"]
        crossing = [finding for finding in findings if _is_crossing(finding, patient_of)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return (f"{AUDIT_NAME} could not be read ({type(error).__name__}); run medseg audit again",)
    for finding in crossing:
        if finding["check"] == "duplicate_image":
            raise ManifestError(f"{finding['message']} (as medseg audit found)")
    return tuple(f"{finding['message']} (as medseg audit found)" for finding in crossing)


def _is_crossing(finding: dict[str, Any], patient_of: dict[str, str]) -> bool:
    """Whether a finding is about equal or similar images of two patients of the manifest."""
    if finding["check"] not in ("duplicate_image", "near_duplicate") or finding["severity"] != "error":
        return False
    ids = {finding["case_id"], *finding["others"]}
    return len({patient_of[case_id] for case_id in ids & patient_of.keys()}) > 1
