"""Cases prepared for segmentation, and masks brought back to the scan's own grid."""

from __future__ import annotations

from medseg.preprocess.segmentation.prepare import PreparedCases, prepare_cases
from medseg.preprocess.segmentation.restore import restore_mask
from medseg.preprocess.segmentation.stored_case import StoredCase

__all__ = [
    "PreparedCases",
    "StoredCase",
    "prepare_cases",
    "restore_mask",
]
