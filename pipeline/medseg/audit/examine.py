"""Examination of one case: its files are read once, facts kept and problems found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import NamedTuple, TypeVar

from medseg.audit.canonical import canonical, voxel_digest
from medseg.audit.facts import CaseFacts, DrawPlanes
from medseg.audit.file_facts import check_sums, read_files, read_quantity_files
from medseg.audit.finding import Finding
from medseg.audit.form_checks import check_forms
from medseg.audit.image_checks import check_channels
from medseg.audit.image_hash import shrink
from medseg.audit.intensity_facts import measure_channel
from medseg.audit.label_checks import (
    check_annotated,
    check_label_given,
    check_label_grid,
    check_label_type,
    check_label_values,
    check_specks,
)
from medseg.audit.label_facts import measure_labels
from medseg.audit.quantity_checks import (
    check_quantities_given,
    check_quantity,
    check_quantity_grid,
    measure_quantity,
)
from medseg.audit.rater_checks import ExaminedRaters, check_fused, examine_raters
from medseg.audit.risks import check_disclosed
from medseg.errors import GeometryError, PipelineError, ScanError
from medseg.geometry import Geometry
from medseg.manifest import case_target, is_regression
from medseg.manifest.case_scans import fused_label
from medseg.origin import PictureOrigin
from medseg.records import Array, Case, Labelmap, Manifest, Scan
from medseg.scans import is_picture_file, read_label, read_quantity, read_scan

Read = TypeVar("Read")
Label = tuple[Labelmap, Geometry]


class Examined(NamedTuple):
    """Facts and findings of one case."""

    facts: CaseFacts
    findings: tuple[Finding, ...]


def examine_case(case: Case, manifest: Manifest, root: Path, *, draw: DrawPlanes | None = None) -> Examined:
    """Read and check the files of a case; a file that cannot be read is a finding.

    Args:
        case: Case to examine.
        manifest: Meaning of the labels and channels.
        root: Data root.
        draw: Function that draws the thumbnails; None for no thumbnails.
    """
    files, of_quantities = read_files(case, root), read_quantity_files(case, root)
    found = check_sums(case, (*files, *of_quantities)) + check_forms(case.case_id, (*files, *of_quantities))
    found += check_label_given(case, manifest) + check_quantities_given(case, manifest)
    paths, channels = [root / name for name in case.images], len(manifest.channels)
    image = _read(lambda: read_scan(paths, case_id=case.case_id, channels=channels), case, found)
    label = _read(lambda: read_label(root / str(case.label), case_id=case.case_id), case, found) if case.label else None
    drawn = examine_raters(case, manifest, root, files, image=image, findings=found) if case.raters else None
    fused = _fused(drawn, case, manifest, found) if drawn is not None and case.is_fused else None
    is_picture = is_picture_file(PurePath(case.images[0]))
    facts = CaseFacts(case, files, is_picture=is_picture, quantity_files=of_quantities)
    if image is not None:
        facts = _with_image(facts, image)
        found += check_channels(case, facts.channels, manifest)
        found += check_disclosed(case, image, is_picture=facts.is_picture)
    if label is not None:
        facts = _with_label(facts, label, manifest)
        file = files[len(case.images)]
        found += check_label_type(case, file) + check_label_values(case, label[0], _of_structures(manifest), file)
        found += check_annotated(case, label[0], manifest) + check_specks(case, facts.labels)
        found += check_label_grid(case, label[1], image.geometry) if image is not None else []
    if fused is not None:
        facts = _with_label(facts, fused, manifest)
        found += check_fused(case, fused[0], manifest)
        label = (case_target(case, manifest).annotated(fused[0]), fused[1])
    facts = _with_quantities(facts, manifest, root, image, found)
    if image is not None and draw is not None:
        fits = label is not None and label[0].shape == image.geometry.shape
        planes = draw(image, label[0] if label and fits else None, manifest.foreground)
        facts = replace(facts, planes=planes)
    return Examined(facts, tuple(found))


def _of_structures(manifest: Manifest) -> Manifest:
    """The manifest, of a regression such that a case may have none of its structures."""
    return manifest.model_copy(update={"allow_empty_labels": True}) if is_regression(manifest) else manifest


def _with_quantities(
    facts: CaseFacts, manifest: Manifest, root: Path, image: Scan | None, findings: list[Finding]
) -> CaseFacts:
    """The facts with those of the quantities, which are read one after the other; what is wrong becomes findings."""
    case, measured = facts.case, {}
    for name, quantity in (manifest.quantities or {}).items():
        path = (case.quantities or {}).get(name)
        read = _read(partial(read_quantity, root / path, case_id=case.case_id), case, findings) if path else None
        if read is None:
            continue
        values, grid = read
        findings += check_quantity(case, name, quantity, values)
        findings += check_quantity_grid(case, name, grid, image.geometry) if image is not None else []
        if (found := measure_quantity(values)) is not None:
            measured[name] = found
    return replace(facts, quantities=measured) if measured else facts


def _read(read: Callable[[], Read], case: Case, findings: list[Finding]) -> Read | None:
    """The result of a reader; an error becomes a finding, unless the checks of the header found it already."""
    try:
        return read()
    except GeometryError as error:
        if not any(found.check in ("shear", "grid") and found.severity == "error" for found in findings):
            findings.append(Finding.of_error("grid", case.case_id, error))
    except PipelineError as error:
        findings.append(Finding.of_error("unreadable", case.case_id, error))
    return None


def _fused(drawn: ExaminedRaters, case: Case, manifest: Manifest, findings: list[Finding]) -> Label | None:
    """The reference out of the raters' labels, and its grid; None where they decide on no voxel, which is a finding."""
    try:
        return fused_label(drawn.readings, case, manifest), drawn.grid
    except ScanError as error:
        findings.append(Finding.of_error("empty_label", case.case_id, error))
        return None


def _with_image(facts: CaseFacts, image: Scan) -> CaseFacts:
    # Cases are compared by the brightness of a picture, or the first channel of a volume.
    shown: Array = image.array.mean(axis=0) if isinstance(image.origin, PictureOrigin) else image.array[0]
    return replace(
        facts,
        geometry=image.geometry,
        channels=tuple(measure_channel(channel) for channel in image.array),
        image_digest=voxel_digest([canonical(channel, image.geometry)[0] for channel in image.array]),
        small=shrink(canonical(shown, image.geometry)[0]),
    )


def _with_label(facts: CaseFacts, label: Label, manifest: Manifest) -> CaseFacts:
    labels = measure_labels(*label, manifest.foreground, is_instances=manifest.instances, is_picture=facts.is_picture)
    digest = voxel_digest([canonical(*label)[0]]) if label[0].any() else None
    return replace(facts, labels=labels, label_digest=digest, annotated_share=_annotated_share(facts, label, manifest))


def _annotated_share(facts: CaseFacts, label: Label, manifest: Manifest) -> float | None:
    """Share of the voxels that somebody has annotated; None where all are."""
    target, values = case_target(facts.case, manifest), label[0]
    if target.ignore is None:
        return None
    return 1 - float((values == target.ignore).mean())
