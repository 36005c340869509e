"""From a scan to the pictures that a slice classifier sees."""

from __future__ import annotations

from pipeline.preprocess.slices.config import Plane, SliceConfig
from pipeline.preprocess.slices.prepare import PreparedSlices, StoredSlices, prepare_slices
from pipeline.preprocess.slices.slice_axis import SliceAxis, slice_axis
from pipeline.preprocess.slices.stack import slice_stack, with_context

__all__ = [
    "Plane",
    "PreparedSlices",
    "SliceAxis",
    "SliceConfig",
    "StoredSlices",
    "prepare_slices",
    "slice_axis",
    "slice_stack",
    "with_context",
]
