"""Copies of the files of a case, with safe repairs of their headers."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from medseg.audit.facts import CaseFacts, FileFacts
from medseg.audit.form_checks import (
    can_be_straightened,
    is_apart_from,
    is_rounding_of,
    is_sheared,
    is_torn,
    straightening_mm,
)
from medseg.geometry import affine_distance_mm
from medseg.records import Case
from medseg.scans import pair_of, repair_nifti


class Done(NamedTuple):
    """One repair of a file: the check of its finding, and a description."""

    check: str
    text: str


def copy_repaired(facts: CaseFacts, root: Path, target: Path) -> tuple[Case, list[Done]]:
    """Copy the files of a case to the same paths under another root.

    A header with conflicting forms or slightly sheared axes gets one straight grid in both forms. The files after the
    first take over its grid if theirs differed by rounding. Labels of whole numbers in a floating-point type or
    under a slope become unsigned integers.

    Returns:
        The case, with the checksums of the new files if the old ones were right, and the repairs.
    """
    done: list[Done] = []
    lead: FileFacts | None = None
    lead_changed = False
    for file in facts.files:
        new = target / file.name
        new.parent.mkdir(parents=True, exist_ok=True)
        repairs = list(_repairs(file, lead, lead_changed=lead_changed))
        checks = {one.check for one in repairs}
        if repairs:
            repair_nifti(
                root / file.name,
                new,
                straighten=bool(checks & {"shear", "sform_qform"}),
                like=target / lead.name if lead is not None and "grid" in checks else None,
                as_label="label_type" in checks,
            )
        else:
            for path in pair_of(root / file.name):
                shutil.copyfile(path, new.parent / path.name)
        if lead is None and file.forms is not None:
            lead, lead_changed = file, bool(repairs)
        done += repairs
    return facts.case.model_copy(update={"sha256": _new_sums(facts, target)}), done


def _repairs(file: FileFacts, lead: FileFacts | None, *, lead_changed: bool) -> Iterator[Done]:
    """Repairs that a file needs; if it lies on the grid of `lead`, it takes that over."""
    forms = file.forms
    if forms is None:
        return
    is_bent = is_sheared(forms) and can_be_straightened(forms)
    has_two_places = is_torn(forms) and can_be_straightened(forms)
    if lead is not None and lead.forms is not None and is_rounding_of(forms, lead.forms):
        if lead_changed or is_bent or has_two_places or is_apart_from(forms, lead.forms):
            distance_mm = affine_distance_mm(forms.shape, forms.affine, lead.forms.affine)
            yield Done("grid", f"header of {file.name} taken over from {lead.name}, {distance_mm:.2g} mm away")
    elif is_bent:
        moved = f"moved voxels by up to {straightening_mm(forms):.2g} mm"
        yield Done("shear", f"axes of {file.name} made perpendicular, which {moved}")
    elif has_two_places:
        yield Done("sform_qform", f"qform of {file.name}, {forms.conflict_mm:.3g} mm away, written from its sform")
    if file.is_label and (forms.voxel_type.startswith("float") or forms.is_scaled):
        old = f"{forms.voxel_type}{' under a slope' if forms.is_scaled else ''}"
        yield Done("label_type", f"label {file.name} stored as unsigned whole numbers instead of {old}")


def _new_sums(facts: CaseFacts, target: Path) -> dict[str, str] | None:
    """Checksums of the new files; one that the old file did not match stays, so that the next audit finds it again."""
    if facts.case.sha256 is None:
        return None
    found = {name: value for file in facts.files for name, value in file.sha256.items()}
    return {
        name: hashlib.sha256((target / name).read_bytes()).hexdigest() if found.get(name) == value else value
        for name, value in facts.case.sha256.items()
    }
