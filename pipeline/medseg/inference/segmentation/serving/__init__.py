"""Masks for programs: requests in, answers out."""

from __future__ import annotations

from medseg.inference.segmentation.serving.mask_answer import MaskAnswer
from medseg.inference.segmentation.serving.mask_service import MaskService

__all__ = ["MaskAnswer", "MaskService"]
