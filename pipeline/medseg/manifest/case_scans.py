"""Reading of the scans of a case, with checks against the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.manifest.target import case_target, unannotated
from medseg.records import Case, Labelmap, Manifest, Scan
from medseg.scans import pair_of, read_label, read_scan, scaling_note

_UNNAMED = "name them in the manifest or correct the label"


class CaseScans(NamedTuple):
    """A case in memory: the image, and the label on the same grid."""

    image: Scan
    label: Labelmap


def read_case(case: Case, manifest: Manifest, root: Path) -> CaseScans:
    """Read image and label for training; a case of `without_mask` has a label in which every voxel is ignored.

    Raises:
        ScanError: If a file cannot be used, the label is missing, empty (unless the manifest allows it) or holds a
            value that the manifest does not name.
        GeometryError: If image and label lie on different grids.
    """
    image = read_case_image(case, manifest, root)
    if case.label is None and case.annotated_labels == ():
        return CaseScans(image, _unannotated_label(case, manifest, image.geometry.shape))
    label, geometry = read_case_label(case, manifest, root)
    check_same_grid(geometry, image.geometry, case_id=case.case_id, thing="label", reference="image")
    if not manifest.allow_empty_labels and not case_target(case, manifest).annotated(label).any():
        raise ScanError(
            "label must hold at least one labelled voxel, got none",
            remedy="draw it, drop the case, or set allow_empty_labels in the manifest if the patient has nothing to "
            "label",
            case_id=case.case_id,
        )
    return CaseScans(image, label)


def _unannotated_label(case: Case, manifest: Manifest, shape: tuple[int, int, int]) -> Labelmap:
    """A label in which no voxel counts; where regions have no value for that, they are left out by name."""
    value = case_target(case, manifest).ignore or 0
    return np.full(shape, value, np.min_scalar_type(value))


def read_case_image(case: Case, manifest: Manifest, root: Path) -> Scan:
    """Read the image channels of a case.

    Raises:
        ScanError: If a file cannot be used, fails its checksum, or the number of channels is not the manifest's.
        GeometryError: If the channels lie on different grids.
    """
    _check_sums(case, case.images, root)
    files = [root / name for name in case.images]
    image = read_scan(files, case_id=case.case_id, channels=len(manifest.channels))
    if image.array.shape[0] != len(manifest.channels):
        raise ScanError(
            f"image must have the manifest's {len(manifest.channels)} channels ({', '.join(manifest.channels)}), got "
            f"{image.array.shape[0]}",
            remedy="fix the image or channel_names",
            case_id=case.case_id,
        )
    return image


def read_case_label(case: Case, manifest: Manifest, root: Path) -> tuple[Labelmap, Geometry]:
    """Read the reference label of a case; instances become the one foreground label.

    Where a case annotates some labels only, its background is ignored, since it may be any of the others. (Of regions,
    each has a channel of its own: those that a case does not annotate are left out by name.)

    Raises:
        ScanError: If there is no label, it cannot be read, or it holds a value that the manifest does not name, or a
            label or region that the case does not annotate.
    """
    if case.label is None:
        raise ScanError(
            "label must be given in the manifest, got none", remedy="add it or move it to test", case_id=case.case_id
        )
    _check_sums(case, (case.label,), root)
    label, geometry = read_label(root / case.label, case_id=case.case_id)
    if manifest.instances:
        (value,) = manifest.foreground.values()
        return np.where(label > 0, value, 0).astype(np.min_scalar_type(value)), geometry
    check_named(label, manifest, root / case.label, case_id=case.case_id, thing="label", remedy=_UNNAMED)
    return _as_annotated(label, case, manifest), geometry


def _as_annotated(label: Labelmap, case: Case, manifest: Manifest) -> Labelmap:
    """The label with what a partly annotated case says nothing of ignored."""
    others = unannotated(case, manifest)
    if not others:
        return label
    target = case_target(case, manifest)
    drawn = [name for name in others if target.shows(label, name).any()]
    if drawn:
        raise ScanError(
            f"label must hold no more than annotated_labels names, {list(case.annotated_labels or ())}, got {drawn}",
            remedy="name them in annotated_labels too, or take them out of the label",
            case_id=case.case_id,
        )
    if target.ignore is None or manifest.regions is not None:
        return label
    kind = np.promote_types(label.dtype, np.min_scalar_type(target.ignore))
    return np.where(label == 0, kind.type(target.ignore), label).astype(kind, copy=False)


def read_case_objects(case: Case, manifest: Manifest, root: Path) -> Labelmap | None:
    """The numbered objects of a case's reference, shape `(I, J, K)`; None where the manifest has no instances.

    Raises:
        ScanError: If the label cannot be read.
    """
    if not manifest.instances or case.label is None:
        return None
    return read_label(root / case.label, case_id=case.case_id)[0]


def check_named(label: Labelmap, manifest: Manifest, path: Path, *, case_id: str, thing: str, remedy: str) -> None:
    """Stop if a label or mask holds a value that the manifest does not name.

    Raises:
        ScanError: If it does; the error names the values, and the slope by which the file's header makes them.
    """
    known = {*manifest.labels.values(), *([] if manifest.ignore is None or thing == "mask" else [manifest.ignore])}
    unknown = sorted(set(np.unique(label).tolist()) - known)
    if not unknown:
        return
    note = scaling_note(path)
    raise ScanError(
        f"{thing} values must be among {sorted(known)}, got {unknown}{note}",
        remedy=f"{remedy}; if the stored values are meant, write them to a file without a slope" if note else remedy,
        case_id=case_id,
    )


def check_same_grid(grid: Geometry, other: Geometry, *, case_id: str, thing: str, reference: str) -> None:
    """Stop if two grids differ.

    Raises:
        GeometryError: If the grids differ; it says by how much, and what to do.
    """
    if grid.is_close(other):
        return
    raise GeometryError(
        f"{thing} must lie on the grid of its {reference}, got {grid.difference(other)}",
        remedy=f"resample the {thing} onto the {reference} with nearest neighbour, export it again, or drop the case",
        case_id=case_id,
    )


def _check_sums(case: Case, names: Iterable[str], root: Path) -> None:
    for path in (file for name in names for file in pair_of(root / name)):
        expected = (case.sha256 or {}).get(path.relative_to(root).as_posix())
        if expected and path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise ScanError(
                f"file {path.name} must have the manifest's SHA-256, got another",
                remedy="copy it again",
                case_id=case.case_id,
            )
