"""Draw the labels of a case into one label volume and write it."""

from __future__ import annotations

import hashlib
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medseg.errors import GeometryError, ManifestError, ScanError
from medseg.geometry import Geometry
from medseg.ingest.case_build import CaseBuild, LabelOfCase
from medseg.ingest.label_source import draw_label, on_grid, read_instances
from medseg.ingest.mapping import Mapping
from medseg.ingest.scrub import Scrubber
from medseg.ingest.structure_name import normalised
from medseg.records import Labelmap, Mask, Scan
from medseg.scans import write_mask, write_scan


class BuiltLabel(NamedTuple):
    """What was written.

    Attributes:
        label: Path relative to the dataset; None if no structure was to be labelled.
        sha256: Its checksum.
        label_ml: Volume of each label.
        structures: Label of each structure by its (scrubbed) name.
        matched_by: How each label object was found to belong to the image.
        notes: Overlaps, and what was left out or moved.
    """

    label: str | None
    sha256: str
    label_ml: dict[str, float]
    structures: dict[str, str]
    matched_by: tuple[str, ...]
    notes: tuple[str, ...]


def build_label(plan: CaseBuild, out: Path, *, mapping: Mapping, scrub: Scrubber, repair: frozenset[str]) -> BuiltLabel:
    """Draw every structure that the mapping names, and write the label volume.

    Where labels overlap, the one that stands further down in the mapping is drawn on top. Where two objects hold the
    same label, the later one counts; but mask files of different structures are joined.

    Raises:
        ManifestError: If a structure is named nowhere in the mapping.
        GeometryError: If a label lies on another grid than its image.
        ScanError: If it is damaged, or the mapping leaves nothing of it.
    """
    notes: list[str] = []
    structures: dict[str, str] = {}
    drawn: dict[str, Cropped] = {}
    grid = _grid_of(plan.labels[0])
    if mapping.instances:
        last = plan.labels[-1]
        label = read_instances(last.label, grid, may_regrid="grids" in repair, is_picture=last.image.is_picture)
        notes += ["of several masks of objects the latest counts"] * (len(plan.labels) > 1)
        (name,) = mapping.labels
        structures[name] = name
        return _write(plan, out, label, mapping, structures, notes)
    parts: dict[str, set[str]] = {}
    for one in plan.labels:
        for name, mask in _draw(one, mapping, scrub, repair, structures, notes).items():
            own = {normalised(told) for told in one.label.names if _label_of(told, mapping, scrub) == name}
            if name not in drawn:
                drawn[name], parts[name] = mask, own
            elif one.label.label_object is None and not own & parts[name]:
                drawn[name] = _joined(drawn[name], mask, grid.shape)  # files of parts, as of the lobes of a lung
                parts[name] |= own
            else:
                notes.append(f"label {name} is held by several objects; the latest counts")
                drawn[name], parts[name] = mask, own
    if not drawn:
        return BuiltLabel(None, "", {}, structures, _how(plan), tuple(notes))
    order = [name for name in mapping.labels if name in drawn]
    notes += _overlaps(drawn, order)
    label = np.zeros(grid.shape, np.min_scalar_type(max(rule.value for rule in mapping.labels.values())))
    for name in order:
        label[drawn[name].box][drawn[name].mask] = mapping.labels[name].value
    return _write(plan, out, label, mapping, structures, notes)


def _draw(
    one: LabelOfCase, mapping: Mapping, scrub: Scrubber, repair: frozenset[str], structures: dict[str, str],
    notes: list[str],
) -> dict[str, Cropped]:  # fmt: skip
    """The masks of one object by label; structures of one label are joined."""
    seen: dict[str, str] = {}
    masks: dict[str, Cropped] = {}
    unknown = [name for name in one.label.names if _label_of(name, mapping, scrub) is None]
    if unknown:
        listed = ", ".join(repr(scrub.name(name)) for name in unknown[:5])
        raise ManifestError(f"structures must be named in the mapping, got {listed}; add them to labels or to ignore")
    drawing = draw_label(
        one.label, _grid_of(one), is_moved=one.image.is_moved, may_regrid="grids" in repair,
        is_picture=one.image.is_picture,
    )  # fmt: skip
    for structure, mask, told in drawing:
        label = _label_of(structure, mapping, scrub) or ""
        name = scrub.name(structure)
        if label and seen.setdefault(name, structure) != structure:
            notes.append(f"structures that are both {name} once names are taken out were joined as {label}")
        structures[name] = label or "(ignored)"
        notes += [f"structure {name}: {note}" for note in told]
        if not label:
            continue
        if not mask.any():
            notes.append(f"structure {name} is empty")
        if label in masks:
            mask[masks[label].box] |= masks[label].mask
        masks[label] = crop(mask)
    return masks


def _label_of(structure: str, mapping: Mapping, scrub: Scrubber) -> str | None:
    """The label of a structure, by its name or by what the mapping shows of it."""
    found = mapping.label_of(structure)
    return mapping.label_of(scrub.name(structure)) if found is None else found


class Cropped(NamedTuple):
    """A mask within the smallest box that holds it, since a hundred whole ones may not fit into memory."""

    box: tuple[slice, slice, slice]
    mask: Mask


def crop(mask: Mask) -> Cropped:
    """Cut a mask of shape `(I, J, K)` down to its box; an empty one to nothing."""
    sides = []
    for axis in range(3):
        filled = np.flatnonzero(mask.any(axis=tuple(n for n in range(3) if n != axis)))
        sides.append(slice(int(filled[0]), int(filled[-1]) + 1) if len(filled) else slice(0, 0))
    box = (sides[0], sides[1], sides[2])
    return Cropped(box, mask[box].copy())


def _joined(one: Cropped, other: Cropped, shape: tuple[int, int, int]) -> Cropped:
    whole = np.zeros(shape, bool)
    for part in (one, other):
        whole[part.box] |= part.mask
    return crop(whole)


def _overlaps(drawn: dict[str, Cropped], order: list[str]) -> list[str]:
    """A note for every two labels that share voxels."""
    notes = []
    for below, above in combinations(order, 2):
        shared = _shared_voxels(drawn[below], drawn[above])
        if shared:
            notes.append(f"labels {below} and {above} overlap in {shared} voxels; {above} is drawn on top")
    return notes


def _shared_voxels(one: Cropped, other: Cropped) -> int:
    box = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one.box, other.box, strict=True)]
    if any(side.start >= side.stop for side in box):
        return 0
    parts = [
        part.mask[tuple(slice(s.start - own.start, s.stop - own.start) for s, own in zip(box, part.box, strict=True))]
        for part in (one, other)
    ]
    return int(np.count_nonzero(parts[0] & parts[1]))


def _write(
    plan: CaseBuild, out: Path, label: Labelmap, mapping: Mapping, structures: dict[str, str], notes: list[str]
) -> BuiltLabel:
    """Write the label on the grid of the reference."""
    reference, grid = plan.reference.grid, _grid_of(plan.labels[0])
    if reference is None:
        raise ScanError(plan.reference.refusal)
    if not grid.is_close(reference):
        if plan.labels[0].image.frame_of_reference_uid != plan.reference.frame_of_reference_uid:
            raise GeometryError("label and reference must share a frame of reference, got two; register them first")
        label = on_grid(label, grid, reference, may_regrid=True)
        notes.append("the label was resampled (nearest) onto the grid of the reference")
    picture = plan.reference.picture_origin
    if picture is not None:
        path = write_mask(label, Scan(label[np.newaxis], reference, picture), out / "labels", case_id=plan.case_id)
    else:
        path = out / "labels" / f"{plan.case_id}.nii.gz"
        unsigned = label.astype(np.uint8 if int(label.max(initial=0)) < 256 else np.uint16, copy=False)
        write_scan(unsigned[np.newaxis], reference, path)
    values = {name: label > 0 if mapping.instances else label == rule.value for name, rule in mapping.labels.items()}
    ml = {name: round(int(np.count_nonzero(found)) * reference.voxel_ml, 6) for name, found in values.items()}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    relative = path.relative_to(out).as_posix()
    return BuiltLabel(relative, digest, ml, structures, _how(plan), tuple(notes))


def _how(plan: CaseBuild) -> tuple[str, ...]:
    return tuple(f"{one.label.kind} matched by {one.how}" for one in plan.labels)


def _grid_of(one: LabelOfCase) -> Geometry:
    if one.image.grid is None:
        raise ScanError(one.image.refusal or "the image has no grid")
    return one.image.grid
