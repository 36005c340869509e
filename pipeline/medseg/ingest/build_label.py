"""Draw the labels of a case into one label volume and write it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np

from medseg.geometry import significant
from medseg.ingest.case_build import CaseBuild
from medseg.ingest.case_record import LabelRecord
from medseg.ingest.context import IngestContext
from medseg.ingest.cropped import Cropped
from medseg.ingest.draw_label import draw_label, on_grid
from medseg.ingest.draw_objects import draw_objects
from medseg.ingest.match import MatchedLabel
from medseg.ingest.named import check_named
from medseg.ingest.outside_image import outside_note, voxels_outside
from medseg.ingest.structure_channels import write_structure_channels
from medseg.records import Labelmap, Scan
from medseg.scans import write_mask, write_scan
from medseg.scans.dicom import NO_CONTOUR


@dataclass(frozen=True, slots=True)
class _Drawing:
    """The drawing of one or several label objects.

    Attributes:
        masks: Mask of each label.
        parts: Names of each label's structures.
        origins: Positions of the label objects that each label is drawn from.
        structures: Label of each structure by its (scrubbed) name.
        notes: Notes on structures that were left out, moved or joined.
    """

    masks: dict[str, Cropped] = field(default_factory=dict)
    parts: dict[str, frozenset[str]] = field(default_factory=dict)
    origins: dict[str, frozenset[int]] = field(default_factory=dict)
    structures: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def build_label(build: CaseBuild, context: IngestContext) -> LabelRecord:
    """Draw every structure that the mapping names, and write the label volume.

    Where labels overlap, the one further down in the mapping is drawn on top, unless the mapping keeps them as they
    overlap. Where two objects hold the same label,
    the later one counts; mask files of different structures are joined instead.

    Args:
        build: Images and labels of the case, with at least one label.
        context: Settings and state that all cases share.

    Raises:
        ManifestError: If the mapping does not name a structure.
        GeometryError: If a label lies on another grid than its image.
        ScanError: If a label is damaged.
    """
    mapping = context.mapping
    if mapping.instances:
        return _build_instances(build, context)
    shape = build.labels[0].image.known_grid().shape
    check_named([name for one in build.labels if one.label.label_object is None for name in one.label.names], context)
    drawing = _Drawing()
    for number, one in enumerate(build.labels):
        drawing = _drawn_over(drawing, _draw(one, context), one, number)
    unused = _unused(build, drawing, context)
    channels = write_structure_channels(
        drawing.masks, build, context, onto_reference=lambda drawn: _onto_reference(drawn, build, context)[0]
    )
    if not drawing.masks:
        return LabelRecord(
            label=None,
            sha256="",
            label_ml={},
            structures=drawing.structures,
            matched_by=_matched_by(build, unused),
            notes=drawing.notes,
            unused=unused,
        )
    order = [name for name in mapping.labels if name in drawing.masks]
    label = np.zeros(shape, np.min_scalar_type(max(value for held in mapping.values.values() for value in held)))
    for name in order:
        part, mask = label[drawing.masks[name].box], drawing.masks[name].mask
        part[mask] = part[mask] | mapping.values[name][0] if mapping.overlapping else mapping.labels[name].value
    covered = [] if mapping.overlapping else _covered(label, drawing.masks, context)
    notes = (*drawing.notes, *_overlaps(drawing.masks, order, is_kept=mapping.overlapping), *covered)
    record = _write(label, drawing.structures, notes, build, context)
    of_channels = {"channels": tuple(channels), "channel_sha256": channels} if channels else {}
    return record.model_copy(update={"unused": unused, "matched_by": _matched_by(build, unused), **of_channels})


def _build_instances(build: CaseBuild, context: IngestContext) -> LabelRecord:
    """All masks of a case as single objects of the only label."""
    label, notes = draw_objects(build.labels, context)
    (name,) = context.mapping.labels
    return _write(label, {name: name}, notes, build, context)


def _draw(one: MatchedLabel, context: IngestContext) -> _Drawing:
    """The masks of one object by label; structures of one label are joined."""
    label_of = {name: context.label_of(name) for name in one.label.names}
    check_named(one.label.names, context)
    masks: dict[str, Cropped] = {}
    structures: dict[str, str] = {}
    notes: list[str] = []
    own_name: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for structure, mask, clauses in draw_label(one.label, one.image, may_regrid="grids" in context.options.repair):
        label, name = context.label_of(structure) or "", context.scrub.name(structure)
        if label and own_name.setdefault(name, structure) != structure:
            notes.append(f"structures that are both {name} once names are taken out were joined as {label}")
        seen[name] += structure == own_name.get(name)
        structures[name] = label or "(ignored)"
        if label and not mask.any():
            notes.append(f"structure {name} is empty{': ' if clauses else ''}{'; '.join(clauses)}")
        else:
            notes += [f"structure {name}: {clause}" for clause in clauses]
        if not label:
            continue
        if label in masks:
            mask[masks[label].box] |= masks[label].mask
        masks[label] = Cropped.of(mask)
    parts = {label: frozenset(name for name, found in label_of.items() if found == label) for label in masks}
    notes += [f"{count} structures are called {name} and were joined" for name, count in seen.items() if count > 1]
    notes += [*one.label.notes, *_without_area(one, context)]
    return _Drawing(masks, parts, {}, structures, tuple(notes))


def _unused(build: CaseBuild, drawing: _Drawing, context: IngestContext) -> dict[int, Literal["replaced", "ignored"]]:
    """Why nothing of a label is drawn, by its position; a mask that is empty is drawn."""
    drawn = frozenset[int]().union(*drawing.origins.values())
    return {
        number: "replaced" if any(context.label_of(name) for name in one.label.names) else "ignored"
        for number, one in enumerate(build.labels)
        if number not in drawn and one.label.names
    }


def _without_area(one: MatchedLabel, context: IngestContext) -> list[str]:
    """A note for each structure of an object that cannot be drawn, and one for all that hold nothing."""
    found = one.label.label_object.without_area if one.label.label_object is not None else {}
    clean = context.scrub.name
    empty = [clean(name) for name, holds in found.items() if holds == NO_CONTOUR]
    notes = [
        f"structure {clean(name)} has no area, but {holds}, and was left out"
        for name, holds in found.items()
        if holds != NO_CONTOUR
    ]
    return [*notes, f"structures without a contour were left out: {', '.join(empty)}"] if empty else notes


def _drawn_over(below: _Drawing, above: _Drawing, one: MatchedLabel, number: int) -> _Drawing:
    """Two drawings in one: the later mask of a label counts, but files of its parts, such as lobes, are joined."""
    masks, parts, notes = dict(below.masks), dict(below.parts), [*below.notes, *above.notes]
    origins = dict(below.origins)
    is_file = one.label.label_object is None
    for name, mask in above.masks.items():
        own = above.parts[name]
        if name not in masks:
            masks[name], parts[name], origins[name] = mask, own, frozenset([number])
        elif one.label.is_one_object or (is_file and not own & parts[name]):
            masks[name], parts[name] = masks[name].joined(mask), parts[name] | own
            origins[name] |= {number}
        else:
            notes.append(f"label {name} is held by several objects; the latest counts")
            masks[name], parts[name], origins[name] = mask, own, frozenset([number])
    return _Drawing(masks, parts, origins, {**below.structures, **above.structures}, tuple(notes))


def _covered(label: Labelmap, masks: dict[str, Cropped], context: IngestContext) -> list[str]:
    """A note for every label of which the labels on top leave nothing."""
    return [
        f"label {name} has no voxel left: the labels further down in the mapping cover it; move it below them"
        for name, mask in masks.items()
        if mask.mask.any() and not (label[mask.box][mask.mask] == context.mapping.labels[name].value).any()
    ]


def _overlaps(masks: dict[str, Cropped], order: Sequence[str], *, is_kept: bool) -> list[str]:
    """A note for every two labels that share voxels."""
    notes = []
    for below, above in combinations(order, 2):
        shared = masks[below].shared_voxels(masks[above])
        if shared:
            fate = "both are kept" if is_kept else f"{above} is drawn on top"
            notes.append(f"labels {below} and {above} overlap in {shared} voxels; {fate}")
    return notes


def _write(
    label: Labelmap, structures: dict[str, str], notes: tuple[str, ...], build: CaseBuild, context: IngestContext
) -> LabelRecord:
    """Write the label on the grid of the reference."""
    label, moved = _onto_reference(label, build, context)
    reference, out, mapping = build.reference.known_grid(), context.out, context.mapping
    picture = build.reference.picture_origin
    if picture is not None:
        path = write_mask(label, Scan(label[np.newaxis], reference, picture), out / "labels", case_id=build.case_id)
    else:
        path = out / "labels" / f"{build.case_id}.nii.gz"
        unsigned = label.astype(np.uint8 if int(label.max(initial=0)) < 256 else np.uint16, copy=False)
        write_scan(unsigned[np.newaxis], reference, path)
    values = {
        name: label > 0 if mapping.instances else np.isin(label, held) if len(held) > 1 else label == held[0]
        for name, held in mapping.values.items()
    }
    return LabelRecord(
        label=path.relative_to(out).as_posix(),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        label_ml={
            name: significant(int(np.count_nonzero(found)) * reference.voxel_ml) for name, found in values.items()
        },
        structures=structures,
        matched_by=_matched_by(build),
        notes=(*notes, *moved),
        combinations=tuple(np.unique(label[label > 0]).tolist()) if mapping.overlapping else (),
    )


def _onto_reference(label: Labelmap, build: CaseBuild, context: IngestContext) -> tuple[Labelmap, tuple[str, ...]]:
    """A label on the grid of the reference, resampled if it was drawn on another channel, and the notes on that.

    That channel shares the frame of reference, else its image would have been refused.
    """
    image = build.labels[0].image
    reference, grid = build.reference.known_grid(), image.known_grid()
    if grid.is_close(reference):
        return label, ()
    moved = on_grid(label, grid, reference, may_regrid=True)
    outside = voxels_outside(label, grid, reference)
    is_counted = context.mapping.instances
    members = {name: outside.keys() if is_counted else held for name, held in context.mapping.values.items()}
    lost = [f"label {name}: {note}" for name, own in members.items() for note in outside_note(label, own, outside)]
    return moved, ("the label was resampled (nearest) onto the grid of the reference", *lost)


def _matched_by(build: CaseBuild, unused: Collection[int] = ()) -> tuple[str, ...]:
    return tuple(one.how for number, one in enumerate(build.labels) if number not in unused)
