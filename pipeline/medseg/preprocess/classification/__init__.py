"""From a scan to the pictures that a slice classifier sees."""

from __future__ import annotations

from medseg.preprocess.classification.config import SliceConfig
from medseg.preprocess.classification.prepare import PreparedSlices, StoredSlices, prepare_slices
from medseg.preprocess.classification.slice_axis import SliceAxis, slice_axis
from medseg.preprocess.classification.stack import slice_stack, with_context

__all__ = [
    "PreparedSlices",
    "SliceAxis",
    "SliceConfig",
    "StoredSlices",
    "prepare_slices",
    "slice_axis",
    "slice_stack",
    "with_context",
]
