"""Cases prepared for segmentation, and masks brought back to the scan's own grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medseg.lazy import lazy_names

if TYPE_CHECKING:
    from medseg.preprocess.segmentation.prepare import PreparedCases, prepare_cases
    from medseg.preprocess.segmentation.restore import restore_mask
    from medseg.preprocess.segmentation.stored_case import StoredCase
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "PreparedCases": "prepare",
            "StoredCase": "stored_case",
            "prepare_cases": "prepare",
            "restore_mask": "restore",
        },
    )

__all__ = [
    "PreparedCases",
    "StoredCase",
    "prepare_cases",
    "restore_mask",
]
