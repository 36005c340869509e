"""What DICOM files say beside voxels: patient and study of all, and the measurements of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medseg.delivery.certificate.contents import Expected, Hidden, Number
from medseg.delivery.certificate.measured_again import MeasuredAgain
from medseg.origin import SeriesOrigin
from medseg.scans.dicom import SegIdentity, evidence_text, read_patient_and_study, read_seg_identity
from medseg.scans.dicom.seg_segments import segment_label
from medseg.scans.segment import CodedTerm, Segment
from medseg.scans.statements import Key
from medseg.scans.structure_measurements import StructureMeasurements

_COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
_ROUNDED = 1e-6  # relative, of eight digits
_ML, _MM = "milliliter (ml, UCUM)", "millimeter (mm, UCUM)"
_VOLUME = "Volume (118565006, SCT)"
_MAXIMUM = "Diameter (81827009, SCT), Maximum (56851009, SCT)"
_LONG_AXIS, _SHORT_AXIS = "Long axis (103339001, SCT)", "Short axis (103340004, SCT)"
_MEAN, _SPREAD = "Mean (373098007, SCT)", "Standard Deviation (386136009, SCT)"
_MEDIAN = "Median (373099004, SCT)"
_INTENSITY = {
    "CT": ("Attenuation Coefficient (112031, DCM)", "Hounsfield unit ([hnsf'U], UCUM)"),
    "MR": ("MR signal intensity (110852, DCM)", "no units (1, UCUM)"),
}
_TISSUE = CodedTerm("85756007", "SCT", "Tissue")


def expected_identity(source: Path) -> Expected:
    """Patient and study that every DICOM file of a case must have: those of the source.

    Args:
        source: Image of the series that the mask was drawn on.
    """
    return {key: Hidden(str(value)) for key, value in read_patient_and_study(source).values.items()}


def expected_report(measured: MeasuredAgain, segments: Sequence[Segment], origin: SeriesOrigin, seg: Path) -> Expected:
    """What a report must say, by the mask that was read back.

    Args:
        measured: Measurements of that mask.
        segments: Structures of the mask.
        origin: Series that the mask was drawn on.
        seg: The delivered SEG that the report refers to.

    Source: PS3.16 TID 1500 and TID 1411; codes of CID 7469, PS3.16 annex D and SNOMED CT; units of UCUM.
    """
    identity = read_seg_identity(seg)
    said: dict[Key, str | Number | Hidden] = {
        ("report", "SOP Class UID"): _COMPREHENSIVE_SR,
        ("report", "template"): "1500",
        ("report", "series of its own"): "yes",
        ("report", "evidence"): Hidden(_evidence(origin, identity)),
    }
    for segment, row in zip(segments, measured.structures, strict=True):
        subject = f"segment {segment.number}"
        said |= {(subject, what): value for what, value in _references(segment, origin, identity)}
        for what, number, unit in _measurements(row, origin.modality, measured):
            said |= {(subject, what): number, (subject, f"unit of {what}"): unit}
    return said


def _evidence(origin: SeriesOrigin, seg: SegIdentity) -> str:
    images = {(origin.study_uid, origin.series_uid, one.sop_instance_uid) for one in origin.slices}
    return evidence_text([(seg.study_uid, seg.series_uid, seg.sop_instance_uid), *images])


def _references(segment: Segment, origin: SeriesOrigin, seg: SegIdentity) -> Iterator[tuple[str, str | Hidden]]:
    """What a measurement group is of."""
    yield "SEG", Hidden(f"{seg.sop_class_uid}/{seg.sop_instance_uid}")
    yield "source series", Hidden(origin.series_uid)
    yield "tracking UID", Hidden(seg.tracking_uids.get(segment.number, ""))
    yield "tracking identifier", segment_label(segment.name)
    yield "category", _code(segment.category)
    yield "type", _code(segment.kind or _TISSUE)
    if segment.laterality is not None:
        yield "side", _code(segment.laterality)


def _measurements(
    row: StructureMeasurements, modality: str, measured: MeasuredAgain
) -> Iterator[tuple[str, Number, str]]:
    """Name, value and unit of each measurement that the structure has."""
    yield _VOLUME, measured.near_volume(row.volume_ml), _ML
    sizes = ((_MAXIMUM, row.longest_mm), (_LONG_AXIS, row.in_slice_mm), (_SHORT_AXIS, row.perpendicular_mm))
    yield from ((what, measured.near(value, _ROUNDED), _MM) for what, value in sizes if value is not None)
    first = row.intensities[0] if row.intensities else None
    if first is not None and modality in _INTENSITY:
        name, unit = _INTENSITY[modality]
        for derivation, value in ((_MEAN, first.mean), (_SPREAD, first.sd), (_MEDIAN, first.median)):
            yield f"{name}, {derivation}", measured.near(value, _ROUNDED), unit


def _code(term: CodedTerm) -> str:
    return f"{segment_label(term.meaning)} ({term.value}, {term.scheme})"
