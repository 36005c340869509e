"""DICOM files of made-up patients: what the intake is tested with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from pipeline.geometry import Geometry

PATIENT: dict[str, Any] = {
    "PatientID": "MRN-0047110815",
    "PatientName": "Mustermann^Erika",
    "PatientBirthDate": "19640812",
    "InstitutionName": "Klinikum Beispielstadt",
    "ReferringPhysicianName": "Zuweiser^Zacharias",
    "AccessionNumber": "ACC9988776",
    "StudyDate": "20240517",
}


def write_series(
    array: np.ndarray,
    geometry: Geometry,
    folder: Path,
    *,
    order: Sequence[int] | None = None,
    series_uid: str | None = None,
    slopes: Sequence[tuple[float, float]] | None = None,
    **values: Any,
) -> list[Dataset]:
    """Write a volume of shape `(I, J, K)` as one file per slice.

    Args:
        array: Stored values, int16 or uint16.
        geometry: Where they lie; `affine` in RAS+.
        folder: Made if missing; files are named by the order of writing, without an ending.
        order: In which slices are written and numbered; shuffle it.
        series_uid: A new one if not given.
        slopes: Rescale slope and intercept per slice.
        values: DICOM keywords that replace the defaults, the patient's among them.

    Returns:
        The data sets, by slice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    affine, spacing = geometry.to_lps(), geometry.spacing_mm
    shared = {
        **PATIENT,
        "Modality": "CT",
        "SOPClassUID": CTImageStorage,
        "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.1",
        "SeriesInstanceUID": series_uid or generate_uid(),
        "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.2",
        **values,
    }
    written: dict[int, Dataset] = {}
    for number, k in enumerate(order if order is not None else range(array.shape[2])):
        dataset = slice_dataset(array[:, :, k].T, number + 1)
        dataset.ImagePositionPatient = [float(v) for v in affine[:3, 3] + k * affine[:3, 2]]
        axes = [*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1])]
        dataset.ImageOrientationPatient = [round(float(v), 12) for v in axes]
        dataset.PixelSpacing = [spacing[1], spacing[0]]
        dataset.SliceThickness = spacing[2]
        if slopes is not None:
            dataset.RescaleSlope, dataset.RescaleIntercept = slopes[k]
        for keyword, value in shared.items():
            setattr(dataset, keyword, value)
        save(dataset, folder / f"{number:05d}")
        written[k] = dataset
    return [written[k] for k in sorted(written)]


def slice_dataset(pixels: np.ndarray, number: int) -> Dataset:
    """A data set with pixels of shape `(rows, columns)` and no place in the patient."""
    dataset = Dataset()
    dataset.SOPInstanceUID = generate_uid()
    dataset.InstanceNumber = number
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelData = np.ascontiguousarray(pixels).astype("<i2" if pixels.dtype.kind == "i" else "<u2").tobytes()
    return dataset


def write_structure_set(
    contours: dict[str, list[np.ndarray]], images: Sequence[Dataset], path: Path, *, refer: bool = True
) -> Dataset:
    """Write an RTSTRUCT.

    Args:
        contours: Closed contours of each structure, each of shape `(N, 3)` in LPS+ millimetres.
        images: The series that it was drawn on.
        path: The file.
        refer: Whether it names the images; else only their frame of reference.
    """
    first = images[0]
    dataset = Dataset()
    for keyword in (*PATIENT, "StudyInstanceUID", "FrameOfReferenceUID"):
        setattr(dataset, keyword, getattr(first, keyword))
    dataset.Modality, dataset.SOPClassUID = "RTSTRUCT", RTStructureSetStorage
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.ReferencedFrameOfReferenceSequence = DicomSequence([_references(images, refer)])
    dataset.StructureSetROISequence, dataset.ROIContourSequence = DicomSequence(), DicomSequence()
    for number, (name, polygons) in enumerate(contours.items(), start=1):
        roi = Dataset()
        roi.ROINumber, roi.ROIName = number, name
        roi.ReferencedFrameOfReferenceUID = first.FrameOfReferenceUID
        dataset.StructureSetROISequence.append(roi)
        drawn = Dataset()
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = DicomSequence([_contour(polygon) for polygon in polygons])
        dataset.ROIContourSequence.append(drawn)
    save(dataset, path)
    return dataset


def save(dataset: Dataset, path: Path, *, transfer_syntax: str = ExplicitVRLittleEndian) -> None:
    """Write a data set with its file meta information."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)


def _references(images: Sequence[Dataset], refer: bool) -> Dataset:
    reference = Dataset()
    reference.FrameOfReferenceUID = images[0].FrameOfReferenceUID
    if refer:
        study, series = Dataset(), Dataset()
        series.SeriesInstanceUID = images[0].SeriesInstanceUID
        series.ContourImageSequence = DicomSequence()
        for image in images:
            one = Dataset()
            one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
            series.ContourImageSequence.append(one)
        study.RTReferencedSeriesSequence = DicomSequence([series])
        reference.RTReferencedStudySequence = DicomSequence([study])
    return reference


def _contour(polygon: np.ndarray) -> Dataset:
    contour = Dataset()
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(polygon)
    contour.ContourData = [f"{value:.6f}".rstrip("0") for value in polygon.ravel()]
    return contour
