"""The references of a DICOM SEG to the images, frames and series that it was drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medseg.origin import SourceSlice
from medseg.scans.dicom.derived_object import derived_uid, frame_of_reference
from medseg.scans.dicom.source_images import SourceImages

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from pydicom.dataset import Dataset

_STAND_IN = "1.2.826.0.1.3680043.8.498.0."  # never written: replaced by the UIDs of the sources
_BLANK = dict.fromkeys(
    ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
     "StudyTime", "ReferringPhysicianName"), ""
)  # fmt: skip


def plane_headers(sources: SourceImages, places: Sequence[int]) -> list[Dataset]:
    """Headers of images of one frame on the planes of a scan.

    highdicom takes position and orientation from them. Sources themselves may be frames of one file, tiles of a mosaic
    or slices before a repair, and may lack attributes that it expects; so it gets these, and references are set after.

    Args:
        sources: Images of the scan.
        places: Indices along k of the planes.
    """
    return [_plane_header(sources, k) for k in places]


def reference_header(sources: SourceImages, class_uid: str, uid: str, series_uid: str) -> Dataset:
    """Header that names an object of the study, as evidence of a report; patient and study are blank."""
    return _dataset(
        **_BLANK,
        SOPClassUID=class_uid,
        SOPInstanceUID=uid,
        StudyInstanceUID=sources.origin.study_uid,
        SeriesInstanceUID=series_uid,
    )


def refer_to_sources(dataset: Segmentation, sources: SourceImages) -> None:
    """Make frames and whole of a SEG refer to the images of the scan, by images, frames and series.

    Source: PS3.3 C.7.6.16.2.6 for the images of a frame, C.12.2 for those of the whole, C.7.6.17 for dimensions.
    """
    references = [_reference(one) for one in sources.images]
    series = _dataset(SeriesInstanceUID=sources.origin.series_uid, ReferencedInstanceSequence=references)
    dataset.ReferencedSeriesSequence = [series]
    dataset.SourceImageSequence = references
    set_dimension_organization(dataset)
    if sources.slice_source:
        _refer_frame_by_frame(dataset, sources)
    else:
        for group in dataset.PerFrameFunctionalGroupsSequence:
            del group.DerivationImageSequence
        dataset.SharedFunctionalGroupsSequence[0].DerivationImageSequence = [_derived_from_all(sources)]


def set_dimension_organization(dataset: Segmentation) -> None:
    """Give the dimensions a UID that follows from that of the object."""
    uid = derived_uid(str(dataset.SOPInstanceUID), "dimensions")
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def _refer_frame_by_frame(dataset: Segmentation, sources: SourceImages) -> None:
    """Put the source of each slice in the place of its stand-in; frames of one slice may share an item."""
    for group in dataset.PerFrameFunctionalGroupsSequence:
        for item in group.DerivationImageSequence[0].SourceImageSequence:
            uid = str(item.ReferencedSOPInstanceUID)
            if uid.startswith(_STAND_IN):
                source = sources.slice_source[int(uid.removeprefix(_STAND_IN))]
                _name_source(item, source, is_frame=sources.is_frame)


def _plane_header(sources: SourceImages, k: int) -> Dataset:
    from pydicom.uid import CTImageStorage
    from pydicom.valuerep import format_number_as_ds

    affine, spacing = sources.geometry.to_lps(), sources.geometry.spacing_mm
    position = affine[:3, 3] + k * affine[:3, 2]
    directions = [*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1])]
    return _dataset(
        **_BLANK,
        SOPClassUID=CTImageStorage,
        SOPInstanceUID=f"{_STAND_IN}{k}",
        StudyInstanceUID=sources.origin.study_uid,
        SeriesInstanceUID=sources.origin.series_uid,
        FrameOfReferenceUID=frame_of_reference(sources),
        Modality=sources.origin.modality,
        Rows=sources.geometry.shape[1],
        Columns=sources.geometry.shape[0],
        ImagePositionPatient=[format_number_as_ds(float(value)) for value in position],
        ImageOrientationPatient=[format_number_as_ds(float(value)) for value in directions],
        PixelSpacing=[format_number_as_ds(spacing[1]), format_number_as_ds(spacing[0])],
        SliceThickness=format_number_as_ds(spacing[2]),
    )


def _name_source(item: Dataset, source: SourceSlice, *, is_frame: bool) -> None:
    item.ReferencedSOPClassUID = source.sop_class_uid
    item.ReferencedSOPInstanceUID = source.sop_instance_uid
    item.SpatialLocationsPreserved = "YES" if is_frame else "NO"
    if source.frame_number is not None:
        item.ReferencedFrameNumber = source.frame_number


def _derived_from_all(sources: SourceImages) -> Dataset:
    """Derivation of frames that lie between the images of a series."""
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    items = []
    for image in sources.images:
        item = _reference(image)
        item.SpatialLocationsPreserved = "NO"
        item.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(codes.DCM.SourceImageForImageProcessingOperation)]
        items.append(item)
    derivation = _dataset(SourceImageSequence=items)
    derivation.DerivationCodeSequence = [CodedConcept.from_code(codes.DCM.Segmentation)]
    return derivation


def _reference(source: SourceSlice) -> Dataset:
    return _dataset(ReferencedSOPClassUID=source.sop_class_uid, ReferencedSOPInstanceUID=source.sop_instance_uid)


def _dataset(**values: object) -> Dataset:
    from pydicom.dataset import Dataset

    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset
