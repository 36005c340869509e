"""The source images of a scan, read again so that a result can refer to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.origin import SeriesOrigin, SourceSlice
from medseg.records import Scan
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.elements import number, text
from medseg.scans.dicom.functional_groups import frames_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_RESTORE = "restore the series as it was, or predict the case again"
_UIDS = ["SOPInstanceUID", "SeriesInstanceUID"]


@dataclass(frozen=True, slots=True, eq=False)
class SourceImages:
    """The series behind a scan, whose files are there and unchanged.

    Attributes:
        origin: Series that the scan was read from.
        geometry: Grid of the scan.
        header: Header of the first image, which holds the attributes of patient and study.
        slice_source: Image of each slice along k; empty where a repair made new slices.
        is_frame: Whether a slice is an image or frame of its own, pixel by pixel; not so for mosaics and repairs.
    """

    origin: SeriesOrigin = field(repr=False)
    geometry: Geometry
    header: Dataset = field(repr=False)
    slice_source: tuple[SourceSlice, ...] = field(repr=False)
    is_frame: bool

    @property
    def images(self) -> tuple[SourceSlice, ...]:
        """Each image once, in the order of the slices."""
        return tuple({one.sop_instance_uid: one for one in self.origin.slices}.values())

    @property
    def images_key(self) -> tuple[tuple[str, int | None], ...]:
        """Image and frame of each slice, which tell the volumes of one series apart."""
        return tuple((one.sop_instance_uid, one.frame_number) for one in self.origin.slices)


def read_source_images(scan: Scan) -> SourceImages:
    """Read the headers of the images that a scan was read from.

    Args:
        scan: Scan whose origin is a series.

    Raises:
        DeliveryError: If the scan is from no DICOM series, or its images are in colour, have no place in the patient,
            have changed or are missing.
        ScanError: If a file is damaged.
    """
    if not isinstance(scan.origin, SeriesOrigin):
        raise DeliveryError(
            "a DICOM result must be of a scan read from a DICOM series, got another file",
            remedy="predict from the DICOM series, or deliver NIfTI",
        )
    origin = scan.origin
    header = _checked_header(origin)
    _check_kind(header, origin.slices[0].file)
    for place, path in enumerate(origin.files[1:], start=2):
        _check_identity(_read(path, origin, place, _UIDS), origin, path)
    is_frame = not origin.is_resampled and _fits(header, scan.geometry)
    _check_slices(origin, scan.geometry)
    return SourceImages(
        origin=origin,
        geometry=scan.geometry,
        header=header,
        slice_source=() if origin.is_resampled else origin.slices,
        is_frame=is_frame,
    )


def _checked_header(origin: SeriesOrigin) -> Dataset:
    header = _read(origin.files[0], origin, 1, None)
    _check_identity(header, origin, origin.files[0])
    return header


def _read(path: Path, origin: SeriesOrigin, place: int, tags: list[str] | None) -> Dataset:
    """Header of a file, or some tags of it."""
    from pydicom.filereader import dcmread
    from pydicom.tag import Tag

    wanted = None if tags is None else [Tag(keyword) for keyword in tags]
    try:
        stream = path.open("rb")
    except OSError as error:
        raise DeliveryError(
            f"source images must be there, got: {error.strerror}, for file {place} of {len(origin.files)}",
            remedy=_RESTORE,
        ) from error
    with stream, reading_dicom("source image"):
        return dcmread(stream, stop_before_pixels=True, force=True, specific_tags=wanted)


def _check_identity(header: Dataset, origin: SeriesOrigin, path: Path) -> None:
    """Refuse an image that is not the one that was read."""
    expected = {one.sop_instance_uid for one in origin.slices if one.file == path}
    meta = getattr(header, "file_meta", {})
    found = text(header, "SOPInstanceUID") or str(meta.get("MediaStorageSOPInstanceUID") or "")
    if found not in expected or text(header, "SeriesInstanceUID") != origin.series_uid:
        raise DeliveryError("source images must be those that the mask was drawn on, got others", remedy=_RESTORE)


def _check_kind(header: Dataset, path: Path) -> None:
    """Refuse colour, and pictures that have no place in the patient."""
    if number(header, "SamplesPerPixel", 1) > 1 or text(header, "PhotometricInterpretation") == "PALETTE COLOR":
        raise DeliveryError(
            "a DICOM result must be of images in grey values, got colour", remedy="deliver it as NIfTI or PNG"
        )
    with reading_dicom("source image"):
        frames = frames_of(path, header)
    if any(frame.position_mm is None or frame.orientation is None for frame in frames):
        raise DeliveryError(
            "a DICOM result must be of images with a place in the patient, got a picture without one",
            remedy="deliver it as NIfTI or PNG",
        )


def _fits(header: Dataset, geometry: Geometry) -> bool:
    return (int(number(header, "Columns", 0)), int(number(header, "Rows", 0))) == geometry.shape[:2]


def _check_slices(origin: SeriesOrigin, geometry: Geometry) -> None:
    """Refuse a scan whose slices are not those of its series."""
    if not origin.is_resampled and len(origin.slices) != geometry.shape[2]:
        raise DeliveryError(
            f"a scan must have a source image for each of {geometry.shape[2]} slices, got {len(origin.slices)}",
            remedy="give the whole scan as it was read",
        )
