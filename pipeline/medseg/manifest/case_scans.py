"""Reading of the scans of a case, with checks against the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.manifest.target import case_target, is_without_mask, unannotated
from medseg.raters import fuse
from medseg.records import Case, Labelmap, Manifest, Scan
from medseg.scans import pair_of, read_grid, read_label, read_scan, scaling_note

ALL_IGNORED = "label must hold at least one annotated voxel, got none"
ANNOTATE = "annotate a part of the scan, or drop the case"
_UNNAMED = "name them in the manifest or correct the label"


class CaseScans(NamedTuple):
    """A case in memory: the image, and the label on the same grid."""

    image: Scan
    label: Labelmap


class CaseReadings(NamedTuple):
    """A case in memory with the labels of its raters.

    Attributes:
        image: Image.
        label: Reference on the same grid.
        readings: Label of each rater on the same grid by the rater's name; empty where there are no raters.
    """

    image: Scan
    label: Labelmap
    readings: dict[str, Labelmap]


def read_case(case: Case, manifest: Manifest, root: Path) -> CaseScans:
    """Read image and label for training; the label of a case of `without_mask` says nothing.

    Raises:
        ScanError: If a file cannot be used, the label is missing, empty (unless the manifest allows it) or holds a
            value that the manifest does not name.
        GeometryError: If image and label lie on different grids.
    """
    image = read_case_image(case, manifest, root)
    if is_without_mask(case):
        return CaseScans(image, _unannotated_label(case, manifest, image.geometry.shape))
    label, geometry = read_case_label(case, manifest, root)
    _check_label(label, geometry, image, case, manifest)
    return CaseScans(image, label)


def read_case_readings(case: Case, manifest: Manifest, root: Path) -> CaseReadings:
    """Read image, reference and what each rater drew; each file is read once.

    Raises:
        ScanError: As `read_case`, of any of the labels.
        GeometryError: If the image and any of the labels lie on different grids.
    """
    image = read_case_image(case, manifest, root)
    if is_without_mask(case):
        return CaseReadings(image, _unannotated_label(case, manifest, image.geometry.shape), {})
    drawn = read_raters(case, manifest, root) if case.raters else None
    if drawn is None or not case.is_fused:
        label, geometry = read_case_label(case, manifest, root)
    else:
        label, geometry = fused_label(drawn[0], case, manifest), drawn[1]
    _check_label(label, geometry, image, case, manifest)
    readings = drawn[0] if drawn else {}
    return CaseReadings(image, label, readings)


def _check_label(label: Labelmap, geometry: Geometry, image: Scan, case: Case, manifest: Manifest) -> None:
    """Stop if a reference lies on another grid than its image, or holds nothing where it must."""
    check_same_grid(geometry, image.geometry, case_id=case.case_id, thing="label", reference="image")
    if not manifest.allow_empty_labels and not case_target(case, manifest).annotated(label).any():
        raise ScanError(
            "label must hold at least one labelled voxel, got none",
            remedy="draw it, drop the case, or set allow_empty_labels in the manifest if the patient has nothing to "
            "label",
            case_id=case.case_id,
        )


def _unannotated_label(case: Case, manifest: Manifest, shape: tuple[int, int, int]) -> Labelmap:
    """A label in which no voxel counts; without a value for that, every structure is left out by name."""
    value = case_target(case, manifest).ignore or 0
    return np.full(shape, value, np.min_scalar_type(value))


def read_case_image(case: Case, manifest: Manifest, root: Path) -> Scan:
    """Read the image channels of a case.

    Raises:
        ScanError: If a file cannot be used, fails its checksum, or the number of channels is not the manifest's.
        GeometryError: If the channels lie on different grids.
    """
    check_sums(case, case.images, root)
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

    Without a label of its own, that of a case of several raters is what theirs are fused into, by `fusion` of the
    manifest; voxels that the raters do not decide are ignored.

    Where a case annotates some structures only, the others may be there undrawn: its background may be any of them, and
    they are measured nowhere in it.

    Raises:
        ScanError: If there is no label, it cannot be read, all of it is ignored, or it holds a value that the manifest
            does not name, or a label or region that the case does not annotate.
        GeometryError: If the label of a rater does not lie on the grid of the image.
    """
    if case.is_fused:
        readings, geometry = read_raters(case, manifest, root)
        return fused_label(readings, case, manifest), geometry
    if case.label is None:
        raise ScanError(
            "label must be given in the manifest, got none", remedy="add it or move it to test", case_id=case.case_id
        )
    check_sums(case, (case.label,), root)
    label, geometry = read_label(root / case.label, case_id=case.case_id)
    if manifest.instances:
        (value,) = manifest.foreground.values()
        return np.where(label > 0, value, 0).astype(np.min_scalar_type(value)), geometry
    check_named(label, manifest, root / case.label, case_id=case.case_id, thing="label", remedy=_UNNAMED)
    _check_any_annotated(label, case, manifest)
    _check_annotated(label, case, manifest, thing="label")
    return label, geometry


def read_raters(case: Case, manifest: Manifest, root: Path) -> tuple[dict[str, Labelmap], Geometry]:
    """Read what each rater of a case drew, as it stands in the files, and the grid of the image that all lie on.

    Raises:
        ScanError: If a label cannot be read, or holds a value that the manifest does not name or the case does not
            annotate.
        GeometryError: If one does not lie on the grid of the image.
    """
    check_sums(case, (case.raters or {}).values(), root)
    grid = read_grid(root / case.images[0], case_id=case.case_id).geometry
    readings = {}
    for name, file in (case.raters or {}).items():
        thing = f"label of rater {name!r}"
        label, geometry = read_rater(name, root / file, case_id=case.case_id)
        check_same_grid(geometry, grid, case_id=case.case_id, thing=thing, reference="image")
        check_named(label, manifest, root / file, case_id=case.case_id, thing=thing, remedy=_UNNAMED)
        _check_annotated(label, case, manifest, thing=thing)
        readings[name] = label
    return readings, grid


def read_rater(name: str, path: Path, *, case_id: str) -> tuple[Labelmap, Geometry]:
    """Read the label of one rater and its grid; an error names the rater, whose file may be called as those of others.

    Raises:
        ScanError: If the file cannot be read.
        GeometryError: If it does not lie on a straight voxel grid.
    """
    try:
        return read_label(path, case_id=case_id)
    except (ScanError, GeometryError) as error:
        fact = f"label of rater {name!r}: {error.fact}"
        raise type(error)(fact, remedy=error.remedy, case_id=case_id) from error


def fused_label(readings: Mapping[str, Labelmap], case: Case, manifest: Manifest) -> Labelmap:
    """The reference of a case out of what its raters drew; what they do not decide is ignored.

    Args:
        readings: Label of each rater, from `read_raters`.
        case: Case of the raters.
        manifest: Manifest of the case.

    Raises:
        ScanError: If they decide on no voxel.
    """
    fused = fuse(list(readings.values()), case_target(case, manifest), method=manifest.fusion or "majority")
    _check_any_annotated(fused, case, manifest)
    return fused


def _check_any_annotated(label: Labelmap, case: Case, manifest: Manifest) -> None:
    """Stop if every voxel of a label is ignored."""
    ignore = case_target(case, manifest).ignore
    if ignore is not None and (label == ignore).all():
        raise ScanError(ALL_IGNORED, remedy=ANNOTATE, case_id=case.case_id)


def _check_annotated(label: Labelmap, case: Case, manifest: Manifest, *, thing: str) -> None:
    """Stop if a label holds what its case does not annotate."""
    others = unannotated(case, manifest)
    if not others:
        return
    voxels = case_target(case, manifest).voxels(label)
    drawn = [name for name in others if voxels[name]]
    if drawn:
        raise ScanError(
            f"{thing} must hold no more than annotated_labels names, {list(case.annotated_labels or ())}, got {drawn}",
            remedy="name them in annotated_labels too, or take them out of the label",
            case_id=case.case_id,
        )


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


def check_same_grid(
    grid: Geometry, other: Geometry, *, case_id: str, thing: str, reference: str, by: str = "nearest neighbour"
) -> None:
    """Stop if two grids differ.

    Args:
        grid: Grid that is checked.
        other: Grid that it must be.
        case_id: Id of the case, for the message.
        thing: What lies on the grid.
        reference: What lies on the other grid.
        by: Interpolation that the remedy names.

    Raises:
        GeometryError: If the grids differ; it says by how much, and what to do.
    """
    if grid.is_close(other):
        return
    raise GeometryError(
        f"{thing} must lie on the grid of its {reference}, got {grid.difference(other)}",
        remedy=f"resample the {thing} onto the {reference} with {by}, export it again, or drop the case",
        case_id=case_id,
    )


def check_sums(case: Case, names: Iterable[str], root: Path) -> None:
    """Stop if a file of a case has another checksum than the manifest says.

    Raises:
        ScanError: If one has.
    """
    for path in (file for name in names for file in pair_of(root / name)):
        expected = (case.sha256 or {}).get(path.relative_to(root).as_posix())
        if expected and path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise ScanError(
                f"file {path.name} must have the manifest's SHA-256, got another",
                remedy="copy it again",
                case_id=case.case_id,
            )
