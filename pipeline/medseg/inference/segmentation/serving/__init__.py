"""Masks for programs: requests in, answers out."""

from __future__ import annotations

from medseg.inference.segmentation.serving.mask_answer import MaskAnswer
from medseg.inference.segmentation.serving.mask_drawer import DrawnMask, MaskDrawer
from medseg.inference.segmentation.serving.mask_service import MaskService
from medseg.inference.segmentation.serving.stoppable import StoppedError, check_stop

__all__ = ["DrawnMask", "MaskAnswer", "MaskDrawer", "MaskService", "StoppedError", "check_stop"]
