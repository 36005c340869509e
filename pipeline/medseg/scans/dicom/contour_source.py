"""The source images of a scan as an RTSTRUCT refers to them, checked against what was read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medseg.errors import DeliveryError, ScanError
from medseg.geometry import Geometry
from medseg.origin import SeriesOrigin, SourceSlice
from medseg.records import Labelmap, Scan
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.elements import number, numbers, text
from medseg.scans.dicom.series import PICTURE_MODALITIES

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_OTHER_FORM = "deliver it as NIfTI or as .seg.nrrd"
_PLACES = ["SOPInstanceUID", "SeriesInstanceUID", "ImagePositionPatient"]
_SAME_PLACE = 0.5  # voxels


class ContourSource(NamedTuple):
    """A series that contours can refer to.

    Attributes:
        origin: Images of the series, slice by slice.
        header: First file without its pixels.
    """

    origin: SeriesOrigin
    header: Dataset


def check_source(labels: Labelmap, scan: Scan) -> ContourSource:
    """Read the header of a scan's series, and refuse what no contour can lie on.

    Args:
        labels: Labels that are to be drawn, shape `(I, J, K)`.
        scan: Scan that they belong to.

    Raises:
        DeliveryError: If the labels lie on another grid; if the scan is no DICOM series, a picture or in colour; if a
            repair made slices of its own; or if a file of the series is missing or another one than was read.
    """
    if labels.shape != scan.geometry.shape:
        raise DeliveryError(
            f"RTSTRUCT: labels must have the scan's shape {scan.geometry.shape}, got {labels.shape}",
            remedy="give the mask that was drawn on this scan",
        )
    origin = scan.origin
    if not isinstance(origin, SeriesOrigin):
        raise DeliveryError("RTSTRUCT: scan must be a DICOM series, got another form of file", remedy=_OTHER_FORM)
    if origin.is_resampled or len(origin.slices) != labels.shape[2]:
        raise DeliveryError(
            "RTSTRUCT: contours must lie on the slices of the series, got slices that a repair made",
            remedy="deliver it as DICOM SEG or as NIfTI",
        )
    header = _read(origin.slices[0].file)
    _check_header(header, origin, labels)
    is_file_each = len(origin.files) == len(origin.slices)
    for k, source in enumerate(origin.slices):
        if k == 0 or source.file != origin.slices[k - 1].file:
            _check_file(source, origin, scan.geometry if is_file_each else None, k)
    return ContourSource(origin, header)


def _read(file: Path, tags: list[str] | None = None) -> Dataset:
    from pydicom.filereader import dcmread

    try:
        with reading_dicom("series"):
            return dcmread(file, force=True, stop_before_pixels=True, specific_tags=tags)
    except ScanError as error:
        fact = f"RTSTRUCT: every file of the series must be there as it was read, got none or damage in {file.name}"
        raise DeliveryError(fact, remedy="restore the series or predict again") from error


def _check_header(header: Dataset, origin: SeriesOrigin, labels: Labelmap) -> None:
    """Refuse pictures, colours and series that cannot be referred to."""
    has_place = bool(numbers(header, "ImagePositionPatient")) or labels.shape[2] > 1
    if origin.modality in PICTURE_MODALITIES or not has_place:
        raise DeliveryError("RTSTRUCT: scan must be a volume in the patient, got a picture", remedy=_OTHER_FORM)
    if number(header, "SamplesPerPixel", 1) > 1:
        raise DeliveryError("RTSTRUCT: scan must have one value per voxel, got colours", remedy=_OTHER_FORM)
    uids = {
        "Study Instance UID": origin.study_uid,
        "Series Instance UID": origin.series_uid,
        "Frame of Reference UID": origin.frame_of_reference_uid,
        "SOP Instance UID": all(source.sop_instance_uid for source in origin.slices),
        "SOP Class UID": all(source.sop_class_uid for source in origin.slices),
    }
    for name, value in uids.items():
        if not value:
            raise DeliveryError(f"RTSTRUCT: every image of the series must have a {name}, got none", remedy=_OTHER_FORM)


def _check_file(source: SourceSlice, origin: SeriesOrigin, grid: Geometry | None, k: int) -> None:
    """Refuse a file that holds another image than the one that was read; its place counts where a grid is given."""
    header = _read(source.file, _PLACES)
    is_same = text(header, "SOPInstanceUID") == source.sop_instance_uid
    is_same &= text(header, "SeriesInstanceUID") == origin.series_uid
    place = numbers(header, "ImagePositionPatient")
    if len(place) == 3 and grid is not None:
        voxel = grid.voxels_of_lps(np.array([place]))[0]
        is_same &= bool(np.abs(voxel - [0, 0, k]).max() < _SAME_PLACE)
    if not is_same:
        raise DeliveryError(
            f"RTSTRUCT: file {source.file.name} must hold the image that was read, got another one",
            remedy="restore the series or predict again",
        )
