"""Pictures of masks."""

from __future__ import annotations

from medseg.delivery.segmentation.error_map import save_error_map
from medseg.delivery.segmentation.learning_curve import CurvePoint, save_learning_curve
from medseg.delivery.segmentation.overlay import save_overlay

__all__ = [
    "CurvePoint",
    "save_error_map",
    "save_learning_curve",
    "save_overlay",
]
