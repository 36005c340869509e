"""From a scan to the network's grid: what every task has."""

from __future__ import annotations

from medseg.preprocess.config import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.grid import network_grid
from medseg.preprocess.transforms import preprocess_scan

__all__ = [
    "ChannelNormalisation",
    "PreprocessConfig",
    "network_grid",
    "preprocess_scan",
]
