"""A predicted dose as an RT Dose in the study of the scan, marked as research data that belongs to no plan."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medseg.atomic import atomic_path
from medseg.errors import DeliveryError
from medseg.records import Array, Scan
from medseg.scans.dicom.derived_object import add_patient, content_digest, derived_uid, equipment, frame_of_reference
from medseg.scans.dicom.dose_image import add_dose
from medseg.scans.dicom.elements import text
from medseg.scans.dicom.seg_segments import shortened
from medseg.scans.dicom.source_images import SourceImages, read_source_images
from medseg.scans.segment import Algorithm

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SERIES_NUMBER = 9804
NOT_FOR_TREATMENT = "predicted dose of no plan, research only, not for treatment"  # an LO of at most 64 characters
_LONGEST_TEXT = 1024  # characters of an ST


def write_rtdose(dose_gy: Array, scan: Scan, path: Path, *, algorithm: Algorithm) -> tuple[str, ...]:
    """Write an RT Dose in the study, for the patient and in the frame of reference of a scan, whole or not at all.

    It refers to no plan, since none was calculated: its summation type is PLAN_OVERVIEW, so that a planning system has
    no plan to treat by. Series description and comment say that it is a prediction and not for treatment. UIDs are
    made from the content, so that the same dose written again is the same object to an archive.

    Args:
        dose_gy: Doses in Gy on the grid of the scan, shape `(I, J, K)`; what a network predicts below 0 becomes 0.
        scan: Scan that the dose belongs to, read from a DICOM series.
        path: Target file.
        algorithm: Software that predicted the dose.

    Returns:
        Clauses about what was changed.

    Raises:
        DeliveryError: If the dose is on another grid or not known everywhere, the scan is no DICOM volume, or its
            source images have changed or are missing.

    Source: PS3.3 A.18 and C.8.8.3.
    """
    if dose_gy.shape != scan.geometry.shape:
        raise DeliveryError(
            f"RT Dose: the dose must have the shape of its scan {scan.geometry.shape}, got {dose_gy.shape}",
            remedy="predict the case again",
        )
    if not np.isfinite(dose_gy).all():
        unknown = int(np.count_nonzero(~np.isfinite(dose_gy)))
        raise DeliveryError(
            f"RT Dose: every dose must be known, got {unknown} voxel(s) that are not", remedy="deliver it as NIfTI"
        )
    sources = read_source_images(scan)
    positive = np.maximum(dose_gy, 0)
    notes = _clipped(dose_gy)
    digest = content_digest(positive, scan.geometry, algorithm, sources.images_key)
    dataset = _dataset(sources, algorithm, digest, notes)
    add_dose(dataset, positive, scan.geometry)
    _save(dataset, path)
    return notes


def _clipped(dose_gy: Array) -> tuple[str, ...]:
    below = int(np.count_nonzero(dose_gy < 0))
    if not below:
        return ()
    return (f"{below} of {dose_gy.size} voxels were predicted below 0 Gy, down to {dose_gy.min():.3g}, and became 0",)


def _dataset(sources: SourceImages, algorithm: Algorithm, digest: str, notes: tuple[str, ...]) -> Dataset:
    """The object without its dose."""
    from pydicom.dataset import Dataset
    from pydicom.uid import RTDoseStorage

    now = datetime.now(UTC).astimezone()
    series = sources.origin.series_uid
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.Modality = RTDoseStorage, "RTDOSE"
    dataset.SeriesInstanceUID = derived_uid(digest, series, "series")
    dataset.SOPInstanceUID = derived_uid(digest, series, "instance")
    dataset.ImageType = ["DERIVED", "SECONDARY", "DOSE"]
    dataset.InstanceCreationDate = dataset.SeriesDate = dataset.ContentDate = now.strftime("%Y%m%d")
    dataset.InstanceCreationTime = dataset.SeriesTime = dataset.ContentTime = now.strftime("%H%M%S")
    add_patient(dataset, sources)
    dataset.StudyInstanceUID = sources.origin.study_uid
    dataset.FrameOfReferenceUID = frame_of_reference(sources)
    dataset.PositionReferenceIndicator = text(sources.header, "PositionReferenceIndicator")
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.OperatorsName = SERIES_NUMBER, 1, ""
    dataset.SeriesDescription = shortened(f"RESEARCH, not for treatment: {algorithm.name}")
    made_by = equipment(algorithm)
    dataset.Manufacturer, dataset.ManufacturerModelName = made_by["manufacturer"], made_by["manufacturer_model_name"]
    dataset.SoftwareVersions, dataset.DeviceSerialNumber = made_by["software_versions"], made_by["device_serial_number"]
    dataset.DoseType, dataset.DoseSummationType = "PHYSICAL", "PLAN_OVERVIEW"
    dataset.PlanOverviewSequence = [_no_plan()]
    dataset.DoseComment = NOT_FOR_TREATMENT
    derived = (f"predicted by {algorithm.name} {algorithm.digest}", algorithm.notice, *notes)
    dataset.DerivationDescription = "; ".join(derived)[:_LONGEST_TEXT]
    dataset.ReferencedImageSequence = [_image(one.sop_class_uid, one.sop_instance_uid) for one in sources.images]
    return dataset


def _no_plan() -> Dataset:
    """The overview that stands in place of a plan, in which nothing is known.

    Source: PS3.3 C.8.8.3, Plan Overview Sequence.
    """
    return _item(
        PlanOverviewIndex=1,
        RTPlanLabel="NO PLAN",
        NumberOfFractionsIncluded=None,
        TreatmentSite="",
        PrescriptionOverviewSequence=[],
    )


def _image(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    return _item(ReferencedSOPClassUID=sop_class_uid, ReferencedSOPInstanceUID=sop_instance_uid)


def _item(**values: Any) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _save(dataset: Dataset, path: Path) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with atomic_path(path, suffix=".dcm") as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
