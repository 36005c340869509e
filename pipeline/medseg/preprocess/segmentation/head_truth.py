"""The truth about the classes of a head: what a label draws, and what the manifest lists."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from medseg.errors import ScanError
from medseg.manifest import manifest_target
from medseg.records import Array, Case, Labelmap, Manifest
from medseg.targets import BACKGROUND, UNKNOWN, HeadClasses, LabelMap


def head_truth(drawn: Array, listed: Array) -> Array:
    """Truth of a case: that of its label, and what the manifest lists where the label says nothing.

    Args:
        drawn: Truth by `drawn_truth`.
        listed: Truth by `listed_truth`, of the same shape.
    """
    return np.where(drawn == UNKNOWN, listed, drawn)


def drawn_truth(
    label: Labelmap | None, target: LabelMap, head: HeadClasses, *, slices: int, unannotated: Collection[str] = ()
) -> Array:
    """What a label shows of the classes that are structures of its target; the others are unknown.

    A slice, or scan, that does not show a structure is unknown where a voxel of it is ignored.

    Args:
        label: Label on the scan's own grid; None where there is none.
        target: Meaning of the label.
        head: Classes.
        slices: Slices of the scan along its last axis.
        unannotated: Structures that nobody has annotated in this case.
    """
    truth = head.unknown(slices)
    if label is None:
        return truth
    axes = (0, 1) if head.level == "slice" else (0, 1, 2)
    ignored = target.ignored(label)
    is_open = False if ignored is None else ignored.any(axis=axes)
    for index, name in enumerate(head.classes):
        if name in target.structures and name not in unannotated:
            shown = target.shows(label, name).any(axis=axes)
            truth[:, index] = np.where(shown, 1, np.where(is_open, UNKNOWN, 0))
    return truth


def listed_truth(case: Case, manifest: Manifest, head: HeadClasses, *, slices: int) -> Array:
    """What the manifest lists of a case: `slice_labels` for labels and regions, `study_labels` for study classes.

    A scan shows the labels that one of its slices shows.

    Args:
        case: Case.
        manifest: Manifest of the case.
        head: Classes.
        slices: Slices of the scan along its last axis.

    Raises:
        ScanError: If `slice_labels` do not fit the scan, or name what neither manifest nor head knows.
    """
    truth = head.unknown(slices)
    is_of_study = [name in (manifest.study_classes or ()) for name in head.classes]
    if case.slice_labels is not None and not all(is_of_study):
        _check_slice_labels(case, manifest, head, slices=slices)
        of_slices = np.array([_shown(names, manifest, head.classes) for names in case.slice_labels], np.int8)
        whole = of_slices if head.level == "slice" else of_slices.max(axis=0, keepdims=True)
        truth[:, :] = np.where(is_of_study, UNKNOWN, whole)
    if case.study_labels is not None and head.level == "study":
        for index, name in enumerate(head.classes):
            if name in (manifest.study_classes or ()):
                truth[:, index] = name in case.study_labels
    return truth


def _shown(names: Sequence[str], manifest: Manifest, classes: Sequence[str]) -> list[bool]:
    """Which classes the names of a slice mean; a label is part of its regions."""
    values = {manifest.labels[name] for name in names if name in manifest.labels}
    regions = {name for name, parts in (manifest.regions or {}).items() if values & set(parts)}
    return [name in names or name in regions for name in classes]


def _check_slice_labels(case: Case, manifest: Manifest, head: HeadClasses, *, slices: int) -> None:
    given = case.slice_labels or ()
    if len(given) != slices:
        raise ScanError(
            f"slice_labels must have an entry for each of the {slices} slices, got {len(given)}",
            remedy="list what each slice along the array's last axis shows",
            case_id=case.case_id,
        )
    known = {*head.classes, *manifest.labels, *(manifest.regions or ()), BACKGROUND}
    unknown = sorted({name for names in given for name in names} - known)
    if unknown:
        raise ScanError(
            f"slice_labels must be among {sorted(known)}, got {unknown}",
            remedy="name them under head.classes, or correct them",
            case_id=case.case_id,
        )


def structures_of(manifest: Manifest) -> tuple[str, ...]:
    """Names of the labels or regions of a manifest, by value."""
    return manifest_target(manifest).structures
