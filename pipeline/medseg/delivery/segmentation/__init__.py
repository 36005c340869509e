"""Pictures of masks."""

from __future__ import annotations

from medseg.delivery.segmentation.error_map import save_error_map
from medseg.delivery.segmentation.overlay import save_overlay

__all__ = [
    "save_error_map",
    "save_overlay",
]
