"""What stands on the page of a case, in words for people."""

from __future__ import annotations

from collections.abc import Iterator

from medseg.delivery.case_page import PageFacts
from medseg.delivery.case_page.structure_table import StructureRow
from medseg.delivery.certificate import Certificate
from medseg.delivery.export.delivered_case import DeliveredCase
from medseg.delivery.measurements import StructureMeasurements

_DIGITS = 12


def structure_rows(case: DeliveredCase) -> list[StructureRow]:
    """The table's lines, in the order of the structures."""
    confidence = case.record.confidence or {}
    rows = []
    for segment, one in zip(case.segments, case.measurements, strict=True):
        expected = confidence.get(segment.name)
        rows.append(
            StructureRow(
                name=segment.name,
                colour=segment.colour,
                volume_ml=one.volume_ml,
                diameter_mm=None if case.is_picture else one.longest_mm,
                intensity=_intensity(one),
                confidence="" if expected is None else f"{expected:.2f}",
            )
        )
    return rows


def case_page_facts(case: DeliveredCase, certificate: Certificate) -> PageFacts:
    """The other words of the page."""
    return PageFacts(
        case_id=case.case_id,
        notice=certificate.software,
        doubts=tuple(_doubts(case, certificate)),
        checks=tuple(_checks(certificate)),
        origin=tuple(_origin(case, certificate)),
    )


def _doubts(case: DeliveredCase, certificate: Certificate) -> Iterator[str]:
    if not certificate.is_passed:
        yield f"NOT CERTIFIED: {'; '.join(certificate.reasons)}"
    record = case.record
    yield from (flag.reason for flag in record.flags)
    if record.quality is not None and record.quality.is_flagged and record.quality.reason:
        yield record.quality.reason
    yield from certificate.doubts
    if record.in_training:
        yield "a model was trained on this very case: the mask says nothing of how it does on others"


def _checks(certificate: Certificate) -> Iterator[str]:
    read = [file for file in certificate.files if file.readers]
    libraries = dict.fromkeys(reader.library for file in read for reader in file.readers)
    if certificate.is_passed and read:
        yield (
            f"{len(read)} file(s) were read back by {', '.join(libraries)}: each holds the mask where the scan has it; "
            "voxels, volumes and centroids are in certificate.json."
        )
    said = [file for file in certificate.files if file.contents]
    if certificate.is_passed and said:
        yield f"What {len(said)} file(s) say of names, colours, codes, measurements or patient was read back, too."
    if certificate.uncoded:
        yield f"Without a code of a terminology: {', '.join(certificate.uncoded)}."


def _origin(case: DeliveredCase, certificate: Certificate) -> Iterator[str]:
    inputs = certificate.inputs
    edited = "corrected by a person since it was drawn, " if inputs.is_edited else ""
    yield f"Scan: {inputs.grid}. Mask: {edited}SHA-256 {inputs.mask_sha256[:_DIGITS]}…"
    for model in certificate.models:
        digest = (model.weights_digest or model.plan_digest)[:_DIGITS]
        version = f", trained with medseg {model.medseg_version}" if model.medseg_version else ""
        yield f"Model: {model.dataset}, weights {digest}…{version}."
    yield f"Delivered {certificate.date}."


def _intensity(one: StructureMeasurements) -> str:
    first = one.intensities[0] if one.intensities else None
    if first is None:
        return ""
    unit = f" {one.unit}" if one.unit else ""
    return f"{first.mean:.4g} ± {first.sd:.3g}{unit}"
