"""Scan and label files in and out; the only room that knows file formats."""

from __future__ import annotations

from pipeline.scans.nifti import pair_of
from pipeline.scans.read import SCAN_SUFFIXES, read_label, read_scan, scan_stem
from pipeline.scans.write import mask_suffix, write_mask, write_scan

__all__ = [
    "SCAN_SUFFIXES",
    "mask_suffix",
    "pair_of",
    "read_label",
    "read_scan",
    "scan_stem",
    "write_mask",
    "write_scan",
]
