"""From a scan to the network's grid and back."""

from __future__ import annotations

from pipeline.preprocess.config import ChannelNormalisation, PreprocessConfig
from pipeline.preprocess.grid import plan_grid
from pipeline.preprocess.prepare import Prepared, prepare_cases
from pipeline.preprocess.restore import restore_mask
from pipeline.preprocess.store import StoredCase
from pipeline.preprocess.transforms import preprocess_scan

__all__ = [
    "ChannelNormalisation",
    "Prepared",
    "PreprocessConfig",
    "StoredCase",
    "plan_grid",
    "prepare_cases",
    "preprocess_scan",
    "restore_mask",
]
