"""From a scan to the network's grid: the parts that all tasks share."""

from __future__ import annotations

from medseg.preprocess.config import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.grid import Box, box_around, network_grid, part_of
from medseg.preprocess.transforms import preprocess_scan

__all__ = [
    "Box",
    "ChannelNormalisation",
    "PreprocessConfig",
    "box_around",
    "network_grid",
    "part_of",
    "preprocess_scan",
]
