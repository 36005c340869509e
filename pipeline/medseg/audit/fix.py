"""A new version of a dataset with all safe repairs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medseg.atomic import atomic_path
from medseg.audit.audit import Audit
from medseg.audit.facts import CaseFacts
from medseg.audit.finding import Finding
from medseg.audit.fix_files import copy_repaired
from medseg.cohort import iterate_cases
from medseg.errors import DeliveryError, ManifestError
from medseg.manifest.save import save_manifest
from medseg.manifest.version import next_version
from medseg.records import Case, Failure

_KEPT_BESIDE = ("ingest.json", "LICENSE*", "LICENCE*", "README*")


@dataclass(frozen=True, slots=True)
class Fix:
    """One repair, or the reason why a finding was not repaired.

    Attributes:
        case_id: Id of the case; None for the dataset as a whole.
        check: Check of the finding.
        text: Description of the repair, or the reason.
        is_done: Whether the repair was made.
    """

    case_id: str | None
    check: str
    text: str
    is_done: bool = True


def fix_dataset(
    audit: Audit,
    root: Path,
    target: Path,
    *,
    folder: Path,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> tuple[Fix, ...]:
    """Write a new version of a dataset, whole or not at all, and leave the old one as it is.

    Headers are put in order, labels stored as whole numbers, unreadable cases and exact copies within a patient left
    out of the manifest, and all folds cleared where a patient crosses them. No voxel of a label changes its value.

    Args:
        audit: Audit of the dataset.
        root: Data root of the dataset.
        target: Folder of the new version, which must not exist; paths in it are those of the old data root.
        folder: Folder of the old dataset.json; `ingest.json`, licence and README are copied from it.
        on_done: Called with the case id after each case.

    Returns:
        Repairs that were made, and errors that were not repaired.

    Raises:
        ManifestError: If the target exists, or no case would be left.
        DeliveryError: If it cannot be written, or one of its cases cannot be copied.
    """
    if target.exists():
        raise ManifestError(
            f"new dataset {target.name}: must not exist yet, got a folder or file", remedy="choose another name"
        )
    dropped = _dropped(audit)
    kept = [facts for facts in audit.cases if facts.case_id not in {fix.case_id for fix in dropped}]
    if not kept:
        raise ManifestError(f"manifest {audit.manifest.name}: must keep at least one case, got none that can be read")
    fixes = [*dropped, *_renamed(audit.findings)]
    with atomic_path(target) as temporary:
        temporary.mkdir(parents=True)
        cases = []
        with closing(iterate_cases(kept, partial(_copy_case, root=root, target=temporary), stage="fix")) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome.result, Failure):
                    raise DeliveryError(outcome.result.reason)  # a dataset without that case would not be whole
                case, done = outcome.result
                cases.append(case)
                fixes += done
                on_done(outcome.case_id)
        is_crossed = any(found.check in ("crossing_folds", "partial_folds") for found in audit.findings)
        if is_crossed:
            cases = [case.model_copy(update={"fold": None}) for case in cases]
            fixes.append(Fix(None, "crossing_folds", "all folds cleared; give new ones with medseg split"))
        _copy_beside(folder, temporary)
        changes = {"cases": tuple(cases), "version": next_version(audit.manifest.version)}
        save_manifest(audit.manifest.model_copy(update=changes), temporary / "dataset.json")
    return (*fixes, *_unrepaired(audit.findings))


def _copy_case(facts: CaseFacts, *, root: Path, target: Path) -> tuple[Case, list[Fix]]:
    case, done = copy_repaired(facts, root, target)
    return case, [Fix(facts.case_id, one.check, one.text) for one in done]


def _dropped(audit: Audit) -> list[Fix]:
    """Cases that the new manifest leaves out, each with its first reason."""
    fixes: dict[str, Fix] = {}
    for found in audit.findings:
        if found.case_id is None:
            continue
        if found.check == "unreadable":
            fixes.setdefault(found.case_id, Fix(found.case_id, found.check, f"left out of the manifest: {found.fact}"))
        elif found.check == "duplicate_image" and found.is_fixable:
            text = f"left out of the manifest: image and label are those of case {found.others[0]}"
            fixes.setdefault(found.case_id, Fix(found.case_id, found.check, text))
    return list(fixes.values())


def _renamed(findings: Sequence[Finding]) -> list[Fix]:
    return [
        Fix(found.case_id, found.check, f"renamed; it was called {found.others[0]}, as another case is")
        for found in findings
        if found.check == "repeated_id"
    ]


def _unrepaired(findings: Sequence[Finding]) -> list[Fix]:
    """Errors for which there is no safe repair."""
    return [
        Fix(found.case_id, found.check, f"not repaired: {found.fact}; {found.remedy}", is_done=False)
        for found in findings
        if found.severity == "error" and not found.is_fixable and found.check != "unreadable"
    ]


def _copy_beside(folder: Path, target: Path) -> None:
    for pattern in _KEPT_BESIDE:
        for path in folder.glob(pattern):
            if path.is_file() and not (target / path.name).exists():
                shutil.copyfile(path, target / path.name)
