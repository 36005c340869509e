"""Scans as small pictures: grey levels, planes through a patient, JPEG inside a page."""

from __future__ import annotations

from medseg.delivery.pictures.embed import embedded_jpeg, embedded_png
from medseg.delivery.pictures.grey import stretched
from medseg.delivery.pictures.planes import best_slices, cut_plane, mark_sides, pixel_aspect

__all__ = [
    "best_slices",
    "cut_plane",
    "embedded_jpeg",
    "embedded_png",
    "mark_sides",
    "pixel_aspect",
    "stretched",
]
