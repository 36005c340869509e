"""What is done to a mask after it is decided: parts removed and holes filled, structure by structure."""

from __future__ import annotations

from medseg.inference.segmentation.postprocess.apply import first_largest, is_below, postprocess, postprocessed
from medseg.inference.segmentation.postprocess.config import Postprocessing, StructureRule
from medseg.inference.segmentation.postprocess.parts import Parts, holes, numbered_parts, rimmed

__all__ = [
    "Parts",
    "Postprocessing",
    "StructureRule",
    "first_largest",
    "holes",
    "is_below",
    "numbered_parts",
    "postprocess",
    "postprocessed",
    "rimmed",
]
