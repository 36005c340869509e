"""Made-up patients for the demo and the tests; no data of any person is in them."""

from __future__ import annotations

from medseg.phantom.anatomy import LABELS, Anatomy
from medseg.phantom.beams import GANTRY_DEGREES, PRESCRIPTION_GY, STRUCTURES, BeamPatient
from medseg.phantom.cohort import write_cohort
from medseg.phantom.dose_cohort import write_dose_cohort
from medseg.phantom.dose_study import DoseStudy, write_dose_studies
from medseg.phantom.hospital import Exported, write_hospital_export
from medseg.phantom.scanner import SCANNERS, Scanner, image_anatomy

__all__ = [
    "GANTRY_DEGREES",
    "LABELS",
    "PRESCRIPTION_GY",
    "SCANNERS",
    "STRUCTURES",
    "Anatomy",
    "BeamPatient",
    "DoseStudy",
    "Exported",
    "Scanner",
    "image_anatomy",
    "write_cohort",
    "write_dose_cohort",
    "write_dose_studies",
    "write_hospital_export",
]
