"""The parts of an RTSTRUCT beside its contours: patient, study, software, names, colours and codes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from medseg.scans.dicom.contour_source import ContourSource
from medseg.scans.dicom.elements import text
from medseg.scans.segment import Algorithm, CodedTerm, Segment

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# (0008,1150) of a study in (3006,0012), which the standard keeps for RTSTRUCT alone.
_DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"
_LONGEST_LABEL, _LONGEST_TEXT, _LONGEST_DESCRIPTION = 16, 64, 1024  # characters of SH, LO and ST
# Of the patient and the study; those of type 2 stand there empty where the source has none.
_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_TYPE_3 = ("IssuerOfPatientID", "StudyDescription", "PatientIdentityRemoved", "DeidentificationMethod")
_TARGETS = re.compile(r"(GTV|CTV|PTV)(?![A-Za-z])")  # as AAPM TG-263 has target volumes begin
_ABNORMAL = ("SCT", "49755003")  # Morphologically Abnormal Structure
_ANATOMICAL = ("SCT", "91723000")  # Anatomical Structure


def structure_set(source: ContourSource, algorithm: Algorithm, *, content: str) -> Dataset:
    """An RTSTRUCT without structures, in the study of its source.

    Args:
        source: Series that it belongs to.
        algorithm: Software that drew it.
        content: Digest of its structures; the UID of the object is made of it, so that equal content has an equal UID.

    Source: PS3.3 A.19.3.
    """
    from pydicom.dataset import Dataset
    from pydicom.uid import RTStructureSetStorage, generate_uid

    now = datetime.now(UTC).astimezone()
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.Modality = RTStructureSetStorage, "RTSTRUCT"
    seeds = [source.origin.series_uid, "RTSTRUCT", algorithm.name, algorithm.version, algorithm.digest]
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=seeds)
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[*seeds, content])
    dataset.InstanceCreationDate = dataset.SeriesDate = dataset.StructureSetDate = now.strftime("%Y%m%d")
    dataset.InstanceCreationTime = dataset.SeriesTime = dataset.StructureSetTime = now.strftime("%H%M%S")
    _carry_over(source.header, dataset)
    dataset.StudyInstanceUID = source.origin.study_uid
    dataset.FrameOfReferenceUID = source.origin.frame_of_reference_uid
    dataset.PositionReferenceIndicator = text(source.header, "PositionReferenceIndicator")
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.OperatorsName = None, 1, ""
    dataset.SeriesDescription = _line(f"RTSTRUCT: {algorithm.name}", _LONGEST_TEXT)
    dataset.Manufacturer, dataset.ManufacturerModelName = "medseg", _line(algorithm.name, _LONGEST_TEXT)
    dataset.SoftwareVersions = _line(algorithm.version, _LONGEST_TEXT)
    dataset.DeviceSerialNumber = _line(algorithm.digest, _LONGEST_TEXT)
    dataset.StructureSetLabel = _line(algorithm.name, _LONGEST_LABEL) or "medseg"
    dataset.StructureSetName = _line(algorithm.name, _LONGEST_TEXT)
    dataset.StructureSetDescription = algorithm.notice[:_LONGEST_DESCRIPTION]
    dataset.ReferencedFrameOfReferenceSequence = [_frame_of_reference(source)]
    dataset.ApprovalStatus = "UNAPPROVED"
    return dataset


def roi_of(segment: Segment, algorithm: Algorithm, frame_of_reference_uid: str) -> Dataset:
    """Item of the Structure Set ROI Sequence.

    Source: PS3.3 C.8.8.5.
    """
    family = CodedTerm("123110", "DCM", "Artificial Intelligence")
    identified = _item(AlgorithmFamilyCodeSequence=[code_of(family)])
    identified.AlgorithmName = _line(algorithm.name, _LONGEST_TEXT)
    identified.AlgorithmVersion = _line(algorithm.version, _LONGEST_TEXT)
    return _item(
        ROINumber=segment.number,
        ReferencedFrameOfReferenceUID=frame_of_reference_uid,
        ROIName=segment.name,
        ROIGenerationAlgorithm="AUTOMATIC",
        ROIGenerationDescription=_line(f"{algorithm.name} {algorithm.digest}", _LONGEST_TEXT),
        ROIDerivationAlgorithmIdentificationSequence=[identified],
    )


def observation_of(segment: Segment) -> Dataset:
    """Item of the RT ROI Observations Sequence.

    Source: PS3.3 C.8.8.8.
    """
    item = _item(ObservationNumber=segment.number, ReferencedROINumber=segment.number)
    item.RTROIInterpretedType, item.ROIInterpreter = interpreted_type(segment), ""
    if segment.kind is not None:
        kind = code_of(segment.kind)
        if segment.laterality is not None:
            kind.SegmentedPropertyTypeModifierCodeSequence = [code_of(segment.laterality)]
        item.RTROIIdentificationCodeSequence = [kind]
    item.SegmentedPropertyCategoryCodeSequence = [code_of(segment.category)]
    return item


def interpreted_type(segment: Segment) -> str:
    """(3006,00A4) of a structure: GTV, CTV or PTV by the beginning of its name, else by its category; "" for others.

    An anatomical structure is an ORGAN where its code is known, an abnormal one a GTV.
    """
    target = _TARGETS.match(segment.name)
    if target:
        return target[1]
    category = (segment.category.scheme, segment.category.value)
    if category == _ABNORMAL:
        return "GTV"
    return "ORGAN" if category == _ANATOMICAL and segment.kind is not None else ""


def code_of(term: CodedTerm) -> Dataset:
    """Item of a Code Sequence."""
    return _item(
        CodeValue=term.value, CodingSchemeDesignator=term.scheme, CodeMeaning=_line(term.meaning, _LONGEST_TEXT)
    )


def image_reference(sop_class_uid: str, sop_instance_uid: str, frame_number: int | None = None) -> Dataset:
    """Item of a Contour Image Sequence."""
    item = _item(ReferencedSOPClassUID=sop_class_uid, ReferencedSOPInstanceUID=sop_instance_uid)
    if frame_number is not None:
        item.ReferencedFrameNumber = frame_number
    return item


def _frame_of_reference(source: ContourSource) -> Dataset:
    """Study, series and all images that the contours may refer to.

    Source: PS3.3 C.8.8.5, Referenced Frame of Reference Sequence.
    """
    origin = source.origin
    images: Iterable[tuple[str, str]] = dict.fromkeys(
        (one.sop_class_uid, one.sop_instance_uid) for one in origin.slices
    )
    series = _item(SeriesInstanceUID=origin.series_uid)
    series.ContourImageSequence = [image_reference(*image) for image in images]
    study = _item(ReferencedSOPClassUID=_DETACHED_STUDY, ReferencedSOPInstanceUID=origin.study_uid)
    study.RTReferencedSeriesSequence = [series]
    return _item(FrameOfReferenceUID=origin.frame_of_reference_uid, RTReferencedStudySequence=[study])


def _carry_over(header: Dataset, dataset: Dataset) -> None:
    """Take over patient and study, as text, since the source may use another character set."""
    for keyword in _TYPE_2:
        setattr(dataset, keyword, text(header, keyword))
    for keyword in _TYPE_3:
        if text(header, keyword):
            setattr(dataset, keyword, text(header, keyword))


def _item(**values: Any) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _line(value: str, longest: int) -> str:
    """Text that fits an element: without the signs that separate values and lines, cut to its length."""
    return re.sub(r"[\\\x00-\x1f\x7f]", " ", value).strip()[:longest].strip()
