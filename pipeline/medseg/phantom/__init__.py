"""Made-up patients for the demo and the tests; no data of any person is in them."""

from __future__ import annotations

from medseg.phantom.anatomy import LABELS, Anatomy
from medseg.phantom.cohort import write_cohort
from medseg.phantom.hospital import Exported, write_hospital_export
from medseg.phantom.scanner import SCANNERS, Scanner, image_anatomy

__all__ = [
    "LABELS",
    "SCANNERS",
    "Anatomy",
    "Exported",
    "Scanner",
    "image_anatomy",
    "write_cohort",
    "write_hospital_export",
]
