"""Volumes as DICOM series, one file per slice, for made-up patients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.records import Array

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# Attributes that every image must have, some of them empty (PS3.3, A.4 MR Image IOD).
_DEFAULTS: dict[str, Any] = {
    "PatientID": "", "PatientName": "", "PatientBirthDate": "", "PatientSex": "", "StudyDate": "", "StudyTime": "",
    "StudyID": "", "AccessionNumber": "", "ReferringPhysicianName": "", "SeriesNumber": 1, "Manufacturer": "",
    "PositionReferenceIndicator": "", "Modality": "MR", "ImageType": ["ORIGINAL", "PRIMARY"], "ScanningSequence": "GR",
    "SequenceVariant": "NONE", "ScanOptions": "", "MRAcquisitionType": "3D", "EchoTime": None, "EchoTrainLength": None,
}  # fmt: skip


def write_dicom_series(array: Array, geometry: Geometry, paths: Sequence[Path], *, header: Mapping[str, Any]) -> None:
    """Write a volume as MR or CT images, slice `k` to `paths[k]`.

    Args:
        array: Volume of shape `(I, J, K)`, int16 or uint16.
        geometry: Grid of the volume.
        paths: Files, one per slice; their names are free, since slices are found by their positions.
        header: DICOM keywords that replace the defaults, `Modality` among them. UIDs of study, series and frame of
            reference are made from the text of the header where it has none, so equal headers give equal UIDs.

    Raises:
        DeliveryError: If shape, type or number of files do not fit.

    Source: PS3.3 C.7.6.2, image plane.
    """
    from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid

    _check(array, geometry, paths)
    values = {**_DEFAULTS, **header}
    values["SOPClassUID"] = CTImageStorage if values["Modality"] == "CT" else MRImageStorage
    sources = sorted(f"{keyword}={value}" for keyword, value in values.items())
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        values.setdefault(keyword, generate_uid(entropy_srcs=[keyword, *sources]))
    for k, path in enumerate(paths):
        dataset = _slice(array[:, :, k].T, geometry, k)
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[values["SeriesInstanceUID"], str(k)])
        _save(dataset, path)


def _check(array: Array, geometry: Geometry, paths: Sequence[Path]) -> None:
    if array.shape != geometry.shape or len(paths) != geometry.shape[2]:
        raise DeliveryError(
            f"series: array must have the grid's shape {geometry.shape} and a file per slice, "
            f"got {array.shape} and {len(paths)} files"
        )
    if array.dtype not in (np.int16, np.uint16):
        raise DeliveryError(
            f"series: array must be int16 or uint16, got {array.dtype}", remedy="scale and round it first"
        )


def _slice(pixels: Array, geometry: Geometry, k: int) -> Dataset:
    """Data set with pixels of shape `(rows, columns)` and their position."""
    from pydicom.dataset import Dataset

    affine, spacing = geometry.to_lps(), geometry.spacing_mm
    dataset = Dataset()
    dataset.InstanceNumber = k + 1
    dataset.ImagePositionPatient = _decimals(affine[:3, 3] + k * affine[:3, 2])
    dataset.ImageOrientationPatient = _decimals([*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1])])
    dataset.PixelSpacing = _decimals([spacing[1], spacing[0]])
    dataset.SliceThickness = _decimals([spacing[2]])[0]
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = int(pixels.dtype == np.int16)
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelData = np.ascontiguousarray(pixels).astype(pixels.dtype.newbyteorder("<")).tobytes()
    return dataset


def _decimals(values: Iterable[float]) -> list[str]:
    """Decimal strings of at most 16 characters (PS3.5 6.2, DS)."""
    from pydicom.valuerep import format_number_as_ds

    return [format_number_as_ds(float(value)) for value in values]


def _save(dataset: Dataset, path: Path) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
