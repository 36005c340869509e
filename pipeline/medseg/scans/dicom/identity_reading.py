"""Patient and study of a DICOM file, read back to check that a result is filed with its source."""

from __future__ import annotations

from pathlib import Path

from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.elements import text
from medseg.scans.statements import Key, Statements

_KEYWORDS = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip


def read_patient_and_study(path: Path) -> Statements:
    """Read by pydicom the attributes that archives file a DICOM object by; those that are empty are left out.

    Raises:
        ScanError: If the file is damaged.

    Source: PS3.3 C.7.1.1 and C.7.2.1.
    """
    import pydicom

    with reading_dicom("file"):
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        said = {("file", keyword): text(dataset, keyword) for keyword in _KEYWORDS}
    values: dict[Key, str | float] = {key: value for key, value in said.items() if value.strip("^=")}
    return Statements(library=f"pydicom {pydicom.__version__}", values=values)
