"""Headers that readers understand differently, or that some refuse."""

from __future__ import annotations

import numpy as np

from medseg.audit.facts import FileFacts
from medseg.audit.finding import Finding
from medseg.geometry import affine_distance_mm, shear_of, straightened
from medseg.scans import NiftiForms

_CONFLICT_MM = 0.1  # what quaternions round to on a large field of view stays below it
_CONFLICT_VOXELS = 0.5
REFUSED_SHEAR = 1e-4  # cosine from which SimpleITK 2.5 answers "No orthonormal definition found", measured
STRAIGHTEN_VOXELS = 0.5
ROUNDING_VOXELS = 0.05


def check_forms(case_id: str, files: tuple[FileFacts, ...]) -> list[Finding]:
    """Findings on the headers of a case; a header equal to the first is not reported again."""
    found: list[Finding] = []
    first: FileFacts | None = None
    for file in files:
        if file.forms is None or (first is not None and first.forms is not None and _is_same(file.forms, first.forms)):
            continue
        if first is not None and not file.is_label:
            found += _check_channel(case_id, file, first)
        first = first or file
        found += _check_sheared(case_id, file.name, file.forms)
        found += _check_conflict(case_id, file.name, file.forms)
        found += _check_placed(case_id, file.name, file.forms)
    return found


def is_rounding_of(forms: NiftiForms, other: NiftiForms) -> bool:
    """Whether headers mean one grid: no corners lie further apart than `ROUNDING_VOXELS` of a voxel."""
    if forms.shape != other.shape or not (is_usable(forms) and is_usable(other)):
        return False
    return affine_distance_mm(forms.shape, forms.affine, other.affine) <= ROUNDING_VOXELS * spacing_mm(other)


def is_apart_from(forms: NiftiForms, other: NiftiForms) -> bool:
    """Whether headers of one shape differ by more than readers accept; the bound of `Geometry.is_close`."""
    tolerance_mm = min(1e-2, 0.1 * spacing_mm(other))
    return affine_distance_mm(forms.shape, forms.affine, other.affine) > tolerance_mm


def spacing_mm(forms: NiftiForms) -> float:
    """Smallest voxel size in millimetres."""
    return float(np.linalg.norm(forms.affine[:3, :3], axis=0).min())


def is_usable(forms: NiftiForms) -> bool:
    """Whether the affine is finite and has voxel sizes, sheared or not."""
    axes = forms.affine[:3, :3]
    return bool(np.isfinite(forms.affine).all() and abs(np.linalg.det(axes)) > 1e-12)


def straightening_mm(forms: NiftiForms) -> float:
    """Distance that a corner voxel moves when the axes are made perpendicular; infinite for a broken affine."""
    if not is_usable(forms):
        return float("inf")
    return affine_distance_mm(forms.shape, forms.affine, straightened(forms.shape, forms.affine).affine)


def can_be_straightened(forms: NiftiForms) -> bool:
    """Whether making the axes perpendicular moves no voxel by more than `STRAIGHTEN_VOXELS` of the smallest spacing."""
    if not is_usable(forms):
        return False
    return straightening_mm(forms) <= STRAIGHTEN_VOXELS * spacing_mm(forms)


def is_sheared(forms: NiftiForms) -> bool:
    """Whether common readers refuse the affine."""
    return is_usable(forms) and shear_of(forms.affine) > REFUSED_SHEAR


def is_torn(forms: NiftiForms) -> bool:
    """Whether sform and qform place voxels further apart than by rounding."""
    return forms.conflict_mm > min(_CONFLICT_MM, _CONFLICT_VOXELS * spacing_mm(forms))


def _is_same(forms: NiftiForms, other: NiftiForms) -> bool:
    return (
        (forms.shape, forms.sform_code, forms.qform_code, forms.conflict_mm)
        == (other.shape, other.sform_code, other.qform_code, other.conflict_mm)
    ) and np.array_equal(forms.affine, other.affine)


def _check_channel(case_id: str, file: FileFacts, first: FileFacts) -> list[Finding]:
    """A channel with a header that differs from the first by rounding; the reader reports larger differences."""
    if file.forms is None or first.forms is None or not is_rounding_of(file.forms, first.forms):
        return []
    if not is_apart_from(file.forms, first.forms):
        return []
    distance_mm = affine_distance_mm(file.forms.shape, file.forms.affine, first.forms.affine)
    fact = f"channel {file.name} must lie on the grid of {first.name}, got corners up to {distance_mm:.2g} mm apart"
    remedy = "run medseg audit with the option fix, which takes over the first channel's header"
    return [Finding("grid", "error", case_id, fact, remedy, is_fixable=True)]


def _check_sheared(case_id: str, name: str, forms: NiftiForms) -> list[Finding]:
    if not is_sheared(forms):
        return []
    shear, moved_mm, is_small = shear_of(forms.affine), straightening_mm(forms), can_be_straightened(forms)
    remedy = (
        f"run medseg audit with the option fix, which moves voxels by up to {moved_mm:.2g} mm"
        if is_small
        else f"resample it onto a straight grid (a straight header would move voxels by {moved_mm:.3g} mm) or drop it"
    )
    fact = f"voxel axes of {name} must be perpendicular, got a shear of {shear:.2g} (cosine)"
    # From 1e-3 on our own reader refuses the file; below, SimpleITK does.
    return [Finding("shear", "error" if shear > 1e-3 else "warning", case_id, fact, remedy, is_fixable=is_small)]


def _check_conflict(case_id: str, name: str, forms: NiftiForms) -> list[Finding]:
    if not is_torn(forms) or is_sheared(forms):
        return []  # a qform cannot hold a shear, so a sheared sform differs from it in any case
    is_large = forms.conflict_mm > spacing_mm(forms) / 2
    distance = f"up to {forms.conflict_mm:.3g} mm apart" if np.isfinite(forms.conflict_mm) else "a qform that is broken"
    codes = f"codes {forms.sform_code} and {forms.qform_code}"
    return [
        Finding(
            "sform_qform",
            "error" if is_large else "warning",
            case_id,
            f"sform and qform of {name} must place voxels alike, got {distance} ({codes})",
            "run medseg audit with the option fix, which writes the sform into both, or export it again",
            is_fixable=can_be_straightened(forms),
        )
    ]


def _check_placed(case_id: str, name: str, forms: NiftiForms) -> list[Finding]:
    if forms.sform_code or forms.qform_code:
        return []
    return [
        Finding(
            "orientation",
            "warning",
            case_id,
            f"header of {name} must say how the patient lies, got neither sform nor qform",
            "export it again from the DICOM files; until then left and right are a guess",
        )
    ]
