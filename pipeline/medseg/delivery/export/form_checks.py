"""How the words and numbers of each form are checked, by readers that are not the code that wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from medseg.delivery.certificate import ContentCheck
from medseg.delivery.certificate.label_statements import (
    expected_itksnap,
    expected_sidecar,
    expected_slicer,
    read_itksnap,
    read_sidecar,
    read_slicer,
)
from medseg.delivery.certificate.map_statements import expected_map, read_map
from medseg.delivery.certificate.page_statements import expected_page, read_page
from medseg.delivery.certificate.slicer_statements import expected_slicer_words
from medseg.delivery.certificate.table_statements import expected_table, read_table
from medseg.delivery.export.delivered_case import DeliveredCase
from medseg.origin import SeriesOrigin


def sidecar_check(
    case: DeliveredCase, path: Path, *, mask: str, files: Mapping[int, str] | None = None
) -> ContentCheck:
    """Names, colours and codes in JSON."""
    expected = partial(expected_sidecar, case.segments, case.algorithm, mask=mask, files=files)
    return ContentCheck(reader="json", read=partial(read_sidecar, path), expected=expected)


def header_check(case: DeliveredCase, path: Path) -> ContentCheck:
    """Both forms by which the header of a NIfTI mask gives its place."""
    from medseg.delivery.certificate.header_statements import expected_header
    from medseg.scans import read_nifti_words

    expected = partial(expected_header, case.scan)
    return ContentCheck(reader="nibabel", read=partial(read_nifti_words, path), expected=expected)


def itksnap_check(case: DeliveredCase, path: Path) -> ContentCheck:
    """Label descriptions by the rules of ITK-SNAP."""
    expected = partial(expected_itksnap, case.segments)
    return ContentCheck(reader="rules of ITK-SNAP", read=partial(read_itksnap, path), expected=expected)


def slicer_check(case: DeliveredCase, path: Path) -> ContentCheck:
    """A colour table by the rules of 3D Slicer."""
    expected = partial(expected_slicer, case.segments)
    return ContentCheck(reader="rules of 3D Slicer", read=partial(read_slicer, path), expected=expected)


def map_check(case: DeliveredCase, path: Path) -> ContentCheck:
    """A copied map: the bytes that the prediction wrote, on the grid of the scan."""
    expected = partial(expected_map, case.maps / path.name, case.scan.geometry, is_picture=case.is_picture)
    return ContentCheck(reader="map", read=partial(read_map, path, is_picture=case.is_picture), expected=expected)


def table_check(path: Path) -> ContentCheck:
    """The table of measurements."""
    return ContentCheck(reader="csv", read=partial(read_table, path), by_measurements=expected_table)


def identity_check(case: DeliveredCase, path: Path) -> ContentCheck:
    """Patient and study of a DICOM file."""
    from medseg.delivery.certificate.report_statements import expected_identity
    from medseg.scans.dicom import read_patient_and_study

    expected = partial(expected_identity, _series(case).files[0])
    return ContentCheck(reader="pydicom", read=partial(read_patient_and_study, path), expected=expected)


def seg_check(case: DeliveredCase, path: Path, kind: Literal["labelmap", "binary"]) -> ContentCheck:
    """Images, colours, codes and algorithm of a SEG."""
    from medseg.delivery.certificate.reference_statements import expected_seg
    from medseg.scans.dicom import read_seg_references

    origin = _series(case)
    expected = partial(expected_seg, case.segments, case.algorithm, origin, kind)
    read = partial(read_seg_references, path, case.scan.geometry, origin)
    return ContentCheck(reader="pydicom", read=read, expected=expected)


def rtstruct_check(case: DeliveredCase, path: Path) -> ContentCheck:
    """Images, colours and codes of an RTSTRUCT."""
    from medseg.delivery.certificate.reference_statements import expected_rtstruct
    from medseg.scans.dicom import read_rtstruct_references

    origin = _series(case)
    read = partial(read_rtstruct_references, path, case.scan.geometry, origin)
    return ContentCheck(reader="pydicom", read=read, expected=partial(expected_rtstruct, case.segments, origin))


def seg_nrrd_check(case: DeliveredCase, path: Path) -> ContentCheck:
    """Colours, codes and extents in a segmentation of 3D Slicer."""
    from medseg.scans import read_seg_nrrd_words

    expected = partial(expected_slicer_words, case.expected)
    return ContentCheck(reader="rules of NRRD", read=partial(read_seg_nrrd_words, path), expected=expected)


def report_checks(case: DeliveredCase, path: Path, seg: Path) -> tuple[ContentCheck, ContentCheck]:
    """The measurements of a report, by two libraries."""
    from medseg.delivery.certificate.report_statements import expected_report
    from medseg.scans.dicom import read_report_with_highdicom, read_report_with_pydicom

    expected = partial(expected_report, segments=case.segments, origin=_series(case), seg=seg)
    return (
        ContentCheck(reader="pydicom", read=partial(read_report_with_pydicom, path), by_measurements=expected),
        ContentCheck(reader="highdicom", read=partial(read_report_with_highdicom, path), by_measurements=expected),
    )


def page_check(case: DeliveredCase, path: Path, mask_sha256: str, *, is_passed: bool) -> ContentCheck:
    """The page of the case."""
    names = [(row.number, row.name) for row in case.measurements if row.voxels]
    case_id = case.case_id
    return ContentCheck(
        reader="pypdf",
        read=partial(read_page, path, case_id=case_id, mask_sha256=mask_sha256, names=names),
        by_measurements=partial(expected_page, case_id=case_id, mask_sha256=mask_sha256, is_passed=is_passed),
    )


def _series(case: DeliveredCase) -> SeriesOrigin:
    origin = case.scan.origin
    if not isinstance(origin, SeriesOrigin):
        raise TypeError(f"case must be of a DICOM series, got {type(origin).__name__}")
    return origin
