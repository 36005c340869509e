"""Reading of a manifest that breaks rules which the audit reports."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from medseg.audit.finding import Finding
from medseg.audit.risks import read_risks
from medseg.manifest.load import check_names, read_manifest
from medseg.records import Case, Manifest


class AuditInput(NamedTuple):
    """The input of an audit.

    Attributes:
        manifest: Dataset; repeated case ids have a number added.
        root: Folder that its paths are relative to.
        folder: Folder of the dataset.json.
        findings: Findings from reading the manifest.
    """

    manifest: Manifest
    root: Path
    folder: Path
    findings: tuple[Finding, ...]


def load_for_audit(dataset: Path, *, data_root: Path | None = None) -> AuditInput:
    """Read a manifest whose patients may cross folds and splits and whose case ids may be repeated.

    Args:
        dataset: JSON file, or the folder that holds a dataset.json.
        data_root: Folder that the paths are relative to; the file's folder if not given.

    Raises:
        ManifestError: If the file is missing, unreadable or breaks another rule.
    """
    file = read_manifest(dataset, data_root=data_root)
    cases, findings = _with_unique_ids(file.manifest.cases)
    manifest = file.manifest.model_copy(update={"cases": cases})
    check_names(manifest)
    return AuditInput(manifest, file.root, file.path.parent, (*findings, *read_risks(file.path.parent)))


def _with_unique_ids(cases: tuple[Case, ...]) -> tuple[tuple[Case, ...], list[Finding]]:
    """The cases with unique ids, and a finding for each repeated id."""
    seen: Counter[str] = Counter()
    taken = {case.case_id for case in cases}
    unique, findings = [], []
    for case in cases:
        seen[case.case_id] += 1
        if seen[case.case_id] == 1:
            unique.append(case)
            continue
        number = seen[case.case_id]
        while f"{case.case_id}+{number}" in taken:
            number += 1
        taken.add(f"{case.case_id}+{number}")
        unique.append(case.model_copy(update={"case_id": f"{case.case_id}+{number}"}))
        findings.append(_repeated(case.case_id, unique[-1].case_id))
    return tuple(unique), findings


def _repeated(old: str, new: str) -> Finding:
    fact = f"case_id must be unique, got {old} again (called {new} here)"
    remedy = "rename one, or run medseg audit with the option fix, which keeps the new name"
    return Finding("repeated_id", "error", new, fact, remedy, others=(old,), is_fixable=True)
