"""Doses as a planning system exports them, for made-up patients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.geometry import Geometry
from medseg.records import Array
from medseg.scans.dicom.dose_image import Bits, add_dose

# Attributes that every RT Dose must have, some of them empty (PS3.3 A.18).
_DEFAULTS: dict[str, Any] = {
    "PatientID": "", "PatientName": "", "PatientBirthDate": "", "PatientSex": "", "StudyDate": "", "StudyTime": "",
    "StudyID": "", "AccessionNumber": "", "ReferringPhysicianName": "", "SeriesNumber": 1, "Manufacturer": "",
    "OperatorsName": "", "PositionReferenceIndicator": "", "InstanceNumber": 1, "DoseType": "PHYSICAL",
    "DoseSummationType": "PLAN",
}  # fmt: skip


def write_dicom_dose(
    dose_gy: Array, geometry: Geometry, path: Path, *, header: Mapping[str, Any], bits: Bits = 32
) -> None:
    """Write a dose as the RT Dose of a made-up plan.

    Args:
        dose_gy: Doses of 0 Gy or more, shape `(I, J, K)`.
        geometry: Grid of the dose, which need not be that of the scan.
        path: Target file; its folder is created if missing.
        header: DICOM keywords that replace the defaults; UIDs of study, series, instance, plan and frame of reference
            are made from its text where it has none, so that equal headers give equal UIDs.
        bits: Bits of each stored number.

    Raises:
        DeliveryError: If a value is negative or not finite, or the shape is not that of the grid.

    Source: PS3.3 A.18 and C.8.8.3.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RTDoseStorage, RTPlanStorage, generate_uid

    values = {**_DEFAULTS, **header}
    sources = sorted(f"{keyword}={value}" for keyword, value in values.items())
    dataset = Dataset()
    add_dose(dataset, dose_gy, geometry, bits=bits)
    dataset.SOPClassUID, dataset.Modality = RTDoseStorage, "RTDOSE"
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        values.setdefault(keyword, generate_uid(entropy_srcs=[keyword, "dose", *sources]))
    plan = Dataset()
    plan.ReferencedSOPClassUID = RTPlanStorage
    plan.ReferencedSOPInstanceUID = generate_uid(entropy_srcs=["plan", values["StudyInstanceUID"]])
    dataset.ReferencedRTPlanSequence = [plan]
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
