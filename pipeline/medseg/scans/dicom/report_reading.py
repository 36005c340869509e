"""Measurement reports read back, by pydicom alone and by highdicom, to check what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.statements import Key, Statements

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_GROUP, _TRACKING, _TRACKING_UID = ("125007", "DCM"), ("112039", "DCM"), ("112040", "DCM")
_CATEGORY, _KIND, _SITE, _SIDE = ("276214006", "SCT"), ("121071", "DCM"), ("363698007", "SCT"), ("272741003", "SCT")
_DERIVATION, _SOURCE = ("121401", "DCM"), ("121232", "DCM")


def read_report_with_pydicom(path: Path) -> Statements:
    """Read a measurement report by walking its content tree.

    Values stand under the segment that they are of and their code, as in `("segment 2", "Volume (118565006, SCT)")`,
    with the code of the derivation behind it if there is one.

    Raises:
        ScanError: If the file is damaged.

    Source: PS3.16 TID 1500 and TID 1411.
    """
    import pydicom

    with reading_dicom("SR"):
        dataset = pydicom.dcmread(path)
        said = _header(dataset)
        groups = [item for item in _descendants(dataset) if _name(item) == _GROUP]
        for subject, group in _by_segment(groups, [_segment(group.ContentSequence) for group in groups]):
            said |= _all_of(subject, _walked(group))
    return Statements(library=f"pydicom {pydicom.__version__}", values=said)


def read_report_with_highdicom(path: Path) -> Statements:
    """The same by the reader of highdicom, which checks the templates.

    Raises:
        ScanError: If the file is damaged, or no report by TID 1500.
    """
    import highdicom

    with reading_dicom("SR"):
        dataset = highdicom.sr.srread(path)
        said = _header(dataset)
        content: Any = dataset.content
        groups = content.get_volumetric_roi_measurement_groups()
        for subject, group in _by_segment(groups, [_segment(group.referenced_segment) for group in groups]):
            said |= _all_of(subject, _parsed(group))
    return Statements(library=f"highdicom {highdicom.__version__}", values=said)


def _header(dataset: Dataset) -> dict[Key, str | float]:
    """Kind of the report, and the instances that it stands on, of its own study."""
    evidence = [
        (str(study.StudyInstanceUID), str(series.SeriesInstanceUID), str(one.ReferencedSOPInstanceUID))
        for study in dataset.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    ]
    own = str(dataset.SeriesInstanceUID)
    return {
        ("report", "SOP Class UID"): str(dataset.SOPClassUID),
        ("report", "template"): str(dataset.ContentTemplateSequence[0].TemplateIdentifier),
        ("report", "series of its own"): "no" if own in {series for _, series, _ in evidence} else "yes",
        ("report", "evidence"): evidence_text(evidence),
    }


def evidence_text(evidence: Iterable[tuple[str, str, str]]) -> str:
    """UIDs of study, series and instance of the images that a report stands on, as one text in their order."""
    return "\n".join("/".join(one) for one in sorted(evidence))


def _by_segment(groups: Sequence[Any], numbers: Sequence[int]) -> Iterator[tuple[str, Any]]:
    seen: Counter[int] = Counter()
    for group, number in zip(groups, numbers, strict=True):
        yield f"segment {number}" + " again" * seen[number], group
        seen[number] += 1


def _all_of(subject: str, pairs: Iterable[tuple[str, str | float]]) -> dict[Key, str | float]:
    """Statements of a subject; one that stands twice is kept beside the first."""
    said: dict[Key, str | float] = {}
    for what, value in pairs:
        while (subject, what) in said:
            what += " again"
        said[subject, what] = value
    return said


def _walked(group: Dataset) -> Iterator[tuple[str, str | float]]:
    """Statements of a measurement group, item by item."""
    yield "SEG", _instance(_reference(group.ContentSequence))
    for item in group.ContentSequence:
        if item.ValueType == "NUM":
            yield from _number(item)
        elif _name(item) == _TRACKING:
            yield "tracking identifier", str(item.TextValue)
        elif _name(item) == _TRACKING_UID:
            yield "tracking UID", str(item.UID)
        elif _name(item) in (_CATEGORY, _KIND):
            yield ("category" if _name(item) == _CATEGORY else "type"), _code(item.ConceptCodeSequence[0])
        elif _name(item) == _SOURCE:
            yield "source series", str(item.UID)
        elif _name(item) == _SITE:
            sides = [one for one in item.get("ContentSequence", ()) if _name(one) == _SIDE]
            yield from (("side", _code(one.ConceptCodeSequence[0])) for one in sides)


def _number(item: Dataset) -> Iterator[tuple[str, str | float]]:
    measured = item.MeasuredValueSequence[0]
    derived = [one for one in item.get("ContentSequence", ()) if _name(one) == _DERIVATION]
    codes = [item.ConceptNameCodeSequence[0], *(one.ConceptCodeSequence[0] for one in derived)]
    what = ", ".join(map(_code, codes))
    yield what, float(measured.NumericValue)
    yield f"unit of {what}", _code(measured.MeasurementUnitsCodeSequence[0])


def _parsed(group: Any) -> Iterator[tuple[str, str | float]]:
    """Statements of a measurement group of highdicom."""
    yield "SEG", _instance(_reference(group.referenced_segment))
    yield "tracking UID", str(group.tracking_uid)
    yield "tracking identifier", str(group.tracking_identifier)
    yield "category", _code(group.finding_category)
    yield "type", _code(group.finding_type)
    yield from (("source series", str(item.UID)) for item in group.referenced_segment if _name(item) == _SOURCE)
    yield from (("side", _code(site.laterality)) for site in group.finding_sites if site.laterality is not None)
    for one in group.get_measurements():
        what = ", ".join(map(_code, filter(None, (one.name, one.derivation))))
        yield what, float(one.value)
        yield f"unit of {what}", _code(one.unit)


def _segment(items: Iterable[Dataset]) -> int:
    """Number of the segment that is referred to."""
    return int(_reference(items).ReferencedSegmentNumber)


def _reference(items: Iterable[Dataset]) -> Dataset:
    """The reference to a segment."""
    references: list[Dataset] = [item.ReferencedSOPSequence[0] for item in items if item.ValueType == "IMAGE"]
    return next(one for one in references if "ReferencedSegmentNumber" in one)


def _descendants(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _descendants(child)


def _name(item: Dataset) -> tuple[str, str]:
    """Code and scheme of the name of a content item."""
    name = item.ConceptNameCodeSequence[0] if "ConceptNameCodeSequence" in item else {}
    return str(name.get("CodeValue")), str(name.get("CodingSchemeDesignator"))


def _instance(reference: Dataset) -> str:
    return f"{reference.ReferencedSOPClassUID}/{reference.ReferencedSOPInstanceUID}"


def _code(code: Dataset) -> str:
    return f"{code.CodeMeaning} ({code.CodeValue}, {code.CodingSchemeDesignator})"
