"""The values of a DICOM header that identify the patient or name other people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from medseg.scans.dicom.elements import text

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PLACEHOLDERS = frozenset(
    ("", "anon", "anonym", "anonymous", "anonymized", "anonymised", "deidentified", "dummy", "empty", "na", "noid",
     "noname", "none", "null", "patient", "patientid", "removed", "subject", "test", "unknown", "xxx")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Identity:
    """The identifying values of one file; they leave the process only as keyed hashes.

    Attributes:
        patient_id: (0010,0020), the hospital's number.
        issuer: (0010,0021), the authority that gave that number.
        name: (0010,0010).
        birth_date: (0010,0030).
        institution: (0008,0080).
        sex: (0010,0040).
        age: (0010,1010).
        others: All other values that name a person, a place or an order.

    Source: PS3.15 Annex E, Basic Application Level Confidentiality Profile, the elements of table E.1-1 that images
    of scanners carry.
    """

    patient_id: str
    issuer: str
    name: str
    birth_date: str
    institution: str
    others: tuple[str, ...]
    sex: str = ""
    age: str = ""

    TAGS: ClassVar[tuple[str, ...]] = (
        "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "InstitutionName",
        "AccessionNumber", "InstitutionAddress", "InstitutionalDepartmentName", "NameOfPhysiciansReadingStudy",
        "OperatorsName", "OtherPatientIDs", "OtherPatientNames", "PatientAddress", "PatientBirthName",
        "PatientComments", "PatientMotherBirthName", "PatientTelephoneNumbers", "PerformingPhysicianName",
        "PhysiciansOfRecord", "ReferringPhysicianName", "RequestingPhysician", "StationName", "DeviceSerialNumber",
        "PatientSex", "PatientAge",
    )  # fmt: skip

    @property
    def names_a_patient(self) -> bool:
        """Whether id or name tell patients apart, and are no placeholders of an anonymiser."""
        return not (_is_placeholder(self.patient_id) and _is_placeholder(self.name))

    @classmethod
    def of(cls, header: Dataset) -> Self:
        """The identity in a header."""
        others = (text(header, keyword) for keyword in cls.TAGS[5:-2])
        return cls(
            patient_id=text(header, "PatientID"),
            issuer=text(header, "IssuerOfPatientID"),
            name=text(header, "PatientName"),
            birth_date=text(header, "PatientBirthDate"),
            institution=text(header, "InstitutionName"),
            others=tuple(value for value in others if value),
            sex=text(header, "PatientSex").upper(),
            age=text(header, "PatientAge").upper(),
        )


def _is_placeholder(value: str) -> bool:
    """Whether a value is one that anonymisers write for everybody: a word for nobody, or nothing but zeros."""
    letters = "".join(sign for sign in value.casefold() if sign.isalnum())
    return letters in _PLACEHOLDERS or not letters.strip("0")
