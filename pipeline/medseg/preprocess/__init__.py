"""From a scan to the network's grid and back."""

from __future__ import annotations

from medseg.preprocess.config import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.grid import plan_grid
from medseg.preprocess.prepare import Prepared, prepare_cases
from medseg.preprocess.restore import restore_mask
from medseg.preprocess.store import StoredCase
from medseg.preprocess.transforms import preprocess_scan

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
