"""One case, built unless an earlier run built it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medseg.errors import ManifestError
from medseg.ingest.build_image import build_image
from medseg.ingest.build_label import build_label
from medseg.ingest.build_quantities import build_quantities
from medseg.ingest.case_build import CaseBuild
from medseg.ingest.case_record import CaseRecord
from medseg.ingest.context import IngestContext
from medseg.ingest.scan_notes import catching_notes
from medseg.scans.dicom import quiet_dicom


def build_case(build: CaseBuild, context: IngestContext) -> CaseRecord:
    """Write image, label and quantities of a case, unless an earlier run wrote them from the same files and settings.

    Each is recorded once it is written, so that an ingest that is stopped in between reads the image only once.

    Args:
        build: Images and labels of the case.
        context: Settings and state that all cases share.

    Raises:
        PipelineError: If a file of the case cannot be used.
        OSError: If one cannot be opened.
    """
    options = context.options
    suv = options.suv or [n for n in range(len(context.mapping.channels)) if context.is_suv(n)] or False
    reading: dict[str, object] = {"repair": sorted(options.repair), "suv": suv, "checksums": "keyed"}
    state, record = context.state, context.state.read(build.case_id)
    image_seal = state.image_seal(build, reading)
    if record is None or record.image_seal != image_seal or not _has_image(record, context.out):
        state.clear(build.case_id)  # what was made before is out of date, even if this fails
        record = CaseRecord(image_seal=image_seal, image=build_image(build, context))
        state.write(build.case_id, record)
    mapping = context.mapping.model_dump(mode="json")
    order = list(context.mapping.labels)  # which label is on top, and no part of the sorted dump
    label_seal = state.label_seal(build, {**reading, "mapping": mapping, "order": order, "image": image_seal})
    if record.label_seal != label_seal or not _has_label(record, context.out):
        if not build.labels:
            _check_structures(context)
        label = build_label(build, context) if build.labels else None
        record = record.model_copy(update={"label": label, "label_seal": label_seal})
        state.write(build.case_id, record)
    return _with_quantities(record, build, context) if build.quantities or record.quantities else record


def _check_structures(context: IngestContext) -> None:
    """Refuse a case without labels where a channel is the mask of one.

    Raises:
        ManifestError: If the mapping has such a channel.
    """
    for rule in context.mapping.structures:
        raise ManifestError(
            f"channel {rule.name} must be the mask of label {rule.structure}, got a case without labels",
            remedy="export the structures too, or leave the case out",
        )


def _with_quantities(record: CaseRecord, build: CaseBuild, context: IngestContext) -> CaseRecord:
    """The record with the quantities of the case, written unless an earlier run wrote them."""
    repair: dict[str, object] = {"repair": sorted(context.options.repair), "image": record.image_seal}
    seal = context.state.quantity_seal(build, repair)
    if record.quantity_seal != seal or not _has_quantities(record, context.out):
        quantities = build_quantities(build, context) if build.quantities else None
        record = record.model_copy(update={"quantities": quantities, "quantity_seal": seal})
        context.state.write(build.case_id, record)
    return record


def build_case_alone(build: CaseBuild, context: IngestContext) -> CaseRecord:
    """Do the same in a process of its own, in which nothing else collects the readers' warnings.

    Args:
        build: Images and labels of the case.
        context: Settings and state that all cases share.
    """
    with quiet_dicom(), catching_notes() as notes:
        return build_case(build, replace(context, notes=notes))


def _has_image(record: CaseRecord, out: Path) -> bool:
    """Whether the files of a case exist; those of a copy were removed, but their content is known."""
    return record.is_copy or (bool(record.image.images) and _exist(out, record.image.images))


def _has_label(record: CaseRecord, out: Path) -> bool:
    held = (record.label_path, *record.label.channels) if record.label and record.label_path else ()
    return record.is_copy or _exist(out, [path for path in held if path])


def _has_quantities(record: CaseRecord, out: Path) -> bool:
    return record.is_copy or record.quantities is None or _exist(out, list(record.quantities.files.values()))


def _exist(out: Path, paths: Sequence[str]) -> bool:
    return all((out / path).is_file() for path in paths)
