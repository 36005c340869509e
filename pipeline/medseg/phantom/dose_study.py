"""A made-up patient's radiotherapy study as DICOM: CT, RTSTRUCT and RTDOSE, as a planning system exports them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medseg.geometry import Geometry, Triple
from medseg.phantom.beams import STRUCTURES, BeamPatient
from medseg.phantom.dose_cohort import FIELD_MM, dose_grid_of
from medseg.records import Scan
from medseg.scans.dicom import (
    SeriesRules,
    find_series,
    read_instance,
    read_series,
    write_dicom_dose,
    write_dicom_series,
    write_rtstruct,
)
from medseg.scans.segment import Algorithm, CodedTerm, Segment

_CT_SPACING_MM: Triple = (6.0, 6.0, 8.0)
_DOSE_SPACING_MM: Triple = (5.0, 5.0, 5.0)
_COLOURS = {"PTV": (220, 40, 40), "cord": (240, 200, 40)}
_TISSUE = CodedTerm("85756007", "SCT", "Tissue")
_BY_HAND = Algorithm(name="made up", version="1", digest="0", notice="structures of a made-up patient")


class DoseStudy(NamedTuple):
    """The truth about one study.

    Attributes:
        patient_id: Patient id in the DICOM files.
        patient: The patient, whose formulas draw CT, structures and dose on any grid.
        geometry: Grid of the CT.
        dose_geometry: Grid of the dose, which is another and ends before the last slices of the CT.
    """

    patient_id: str
    patient: BeamPatient
    geometry: Geometry
    dose_geometry: Geometry


def write_dose_studies(
    folder: Path,
    *,
    patients: int = 4,
    seed: int = 0,
    spacing_mm: Triple = _CT_SPACING_MM,
    dose_spacing_mm: Triple = _DOSE_SPACING_MM,
    on_done: Callable[[str], None] = lambda patient_id: None,
) -> list[DoseStudy]:
    """Write the studies of made-up patients, a folder for each.

    Args:
        folder: Target folder, created if missing.
        patients: Number of patients.
        seed: Seed of the studies; the same seed gives the same ones.
        spacing_mm: Voxel size of the CT along R, A and S, which varies by a twentieth from patient to patient.
        dose_spacing_mm: Voxel size of the dose along R, A and S.
        on_done: Called with the patient id after each patient.
    """
    studies = []
    for number in range(patients):
        study = DoseStudy(
            f"MRN-{48110000 + 137 * number}",
            BeamPatient(seed * 1000 + number),
            dose_grid_of(seed * 1000 + number, spacing_mm),
            _dose_grid(dose_spacing_mm),
        )
        _write_study(folder / f"patient_{number:02d}", study, _header(study.patient_id, number, seed))
        studies.append(study)
        on_done(study.patient_id)
    return studies


def _dose_grid(spacing_mm: Triple) -> Geometry:
    """A grid over the middle three quarters of the field along the patient, and all of it across."""
    extent = np.array(FIELD_MM) * (1.0, 1.0, 0.75)
    shape = np.maximum(1, np.round(extent / spacing_mm)).astype(int)
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = -np.array(spacing_mm) * (shape - 1) / 2
    return Geometry((int(shape[0]), int(shape[1]), int(shape[2])), affine).reoriented("LPS")


def _header(patient_id: str, number: int, seed: int) -> dict[str, Any]:
    uid = f"2.25.{10**9 * (seed + 7) + 10 * number}"  # PS3.5 B.2
    return {
        "PatientID": patient_id,
        "PatientName": f"Musterfrau^Vorname{number}",
        "PatientBirthDate": f"{1940 + number}0301",
        "StudyDate": "20240603",
        "InstitutionName": "Klinikum south",
        "StudyInstanceUID": f"{uid}1",
        "FrameOfReferenceUID": f"{uid}2",
    }


def _write_study(folder: Path, study: DoseStudy, header: dict[str, Any]) -> None:
    paths = [folder / f"CT.{k:03d}.dcm" for k in range(study.geometry.shape[2])]
    image = study.patient.image(study.geometry)
    ct = {**header, "Modality": "CT", "SeriesDescription": "planning CT", "SeriesNumber": 1}
    write_dicom_series(image, study.geometry, paths, header=ct)
    scan = _read(paths)
    segments = [
        Segment(number=value, name=name, values=(value,), colour=_COLOURS[name], category=_TISSUE)
        for name, value in STRUCTURES.items()
        if value
    ]
    write_rtstruct(study.patient.label(scan.geometry), segments, scan, folder / "RS.dcm", algorithm=_BY_HAND)
    dose = {**header, "SeriesDescription": "plan dose", "SeriesNumber": 3}
    write_dicom_dose(study.patient.dose_gy(study.dose_geometry), study.dose_geometry, folder / "RD.dcm", header=dose)


def _read(paths: list[Path]) -> Scan:
    """The series as it is read, whose slices the structures refer to."""
    (found,) = find_series([one for one in map(read_instance, paths) if one is not None], SeriesRules())
    return read_series(found).scan
