"""Pictures of masks."""

from __future__ import annotations

from medseg.delivery.segmentation.overlay import save_overlay

__all__ = [
    "save_overlay",
]
