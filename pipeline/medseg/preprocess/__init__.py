"""From a scan to the network's grid: the parts that all tasks share."""

from __future__ import annotations

from medseg.preprocess.body import body_box, crop_to_body
from medseg.preprocess.config import BodyCrop, ChannelNormalisation, PreprocessConfig
from medseg.preprocess.grid import Box, box_around, network_grid, part_of
from medseg.preprocess.scan import preprocess_scan

__all__ = [
    "BodyCrop",
    "Box",
    "ChannelNormalisation",
    "PreprocessConfig",
    "body_box",
    "box_around",
    "crop_to_body",
    "network_grid",
    "part_of",
    "preprocess_scan",
]
