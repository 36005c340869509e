"""Scans as small pictures: grey levels, planes through a patient, JPEG inside a page."""

from __future__ import annotations

from medseg.delivery.pictures.embed import embedded_jpeg
from medseg.delivery.pictures.grey import stretched
from medseg.delivery.pictures.planes import PATIENT_PLANES, PatientPlane, best_slices, cut_plane

__all__ = [
    "PATIENT_PLANES",
    "PatientPlane",
    "best_slices",
    "cut_plane",
    "embedded_jpeg",
    "stretched",
]
