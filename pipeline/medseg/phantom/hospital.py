"""A made-up hospital's export: DICOM without order, among the stray files of such folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medseg.geometry import Geometry
from medseg.phantom.anatomy import LABELS, Anatomy
from medseg.phantom.scanner import SCANNERS, Scanner, image_anatomy
from medseg.records import Array, Labelmap
from medseg.scans.dicom import write_dicom_seg, write_dicom_series

# Names of the structures in the hospital, and their values in the label.
STRUCTURES = {"Leber": LABELS["liver"], "Niere rechts": LABELS["kidney_right"], "Niere links": LABELS["kidney_left"]}
_RUBBISH = {
    "Thumbs.db": b"\xd0\xcf\x11\xe0" * 50,
    "report (2).pdf": b"%PDF-1.4",
    "AUTORUN.INF": b"[autorun]\r\nopen=viewer.exe\r\n",
    "IM_0001.txt": b"\x08\x00this is no DICOM file",
}


class Exported(NamedTuple):
    """The truth about one patient.

    Attributes:
        patient_id: Patient id in the DICOM files.
        anatomy: Anatomy of the patient.
        label: Reference label, shape `(I, J, K)`.
        geometry: Grid of the label.
    """

    patient_id: str
    anatomy: Anatomy
    label: Labelmap
    geometry: Geometry


def write_hospital_export(
    folder: Path, *, patients: int = 10, seed: int = 0, on_done: Callable[[str], None] = lambda patient_id: None
) -> list[Exported]:
    """Write each patient's scan as a DICOM series, its labels as a DICOM SEG, a localizer, and stray files beside them.

    The files of a site lie in one folder, named by numbers in no order and without an ending.

    Args:
        folder: Target folder, created if missing.
        patients: Number of patients.
        seed: Seed of the export; the same seed gives the same export.
        on_done: Called with the patient id after each patient.
    """
    rng = np.random.default_rng([seed, 41])
    names = (f"{number:05X}" for number in rng.permutation(2**20))
    exported = []
    for number in range(patients):
        scanner, anatomy = SCANNERS[number % len(SCANNERS)], Anatomy(seed * 1000 + number)
        image, label, geometry = image_anatomy(anatomy, scanner, seed=(seed * 1000 + number) * 10)
        exported.append(Exported(f"MRN-{47110000 + 137 * number}", anatomy, label, geometry))
        header = _header(exported[-1].patient_id, scanner, number=number, seed=seed)
        _write_study(folder / scanner.site, image, exported[-1], header, names)
        on_done(exported[-1].patient_id)
    for name, content in _RUBBISH.items():
        (folder / name).write_bytes(content)
    return exported


def _header(patient_id: str, scanner: Scanner, *, number: int, seed: int) -> dict[str, Any]:
    uid = f"2.25.{10**9 * (seed + 1) + 10 * number}"  # PS3.5 B.2
    return {
        "PatientID": patient_id,
        "PatientName": f"Mustermann^Vorname{number}",
        "PatientBirthDate": f"{1940 + number}0812",
        "StudyDate": "20240517",
        "InstitutionName": f"Klinikum {scanner.site}",
        "ManufacturerModelName": scanner.name,
        "StudyInstanceUID": f"{uid}1",
        "FrameOfReferenceUID": f"{uid}2",
    }


def _write_study(folder: Path, image: Array, truth: Exported, header: dict[str, Any], names: Iterator[str]) -> None:
    """Write the scan, its labels and a localizer."""
    scan = {**header, "SeriesDescription": "T1 abdomen", "SeriesNumber": 2}
    paths = [folder / next(names) for _ in range(image.shape[2])]
    write_dicom_series(image, truth.geometry, paths, header=scan)
    masks = {name: truth.label == value for name, value in STRUCTURES.items()}
    write_dicom_seg(masks, paths, folder / next(names))
    middle = image.shape[2] // 2
    plane = truth.geometry.cropped(2, range(middle, middle + 1))
    localizer = {**header, "SeriesDescription": "Localizer", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    write_dicom_series(image[:, :, middle : middle + 1], plane, [folder / next(names)], header=localizer)
