"""Scan and label files in and out; the only room that knows file formats."""

from __future__ import annotations

from pipeline.scans.nifti import pair_of
from pipeline.scans.nifti_forms import NiftiForms, read_nifti_forms
from pipeline.scans.nifti_repair import repair_nifti
from pipeline.scans.picture import PICTURE_SUFFIXES
from pipeline.scans.read import SCAN_SUFFIXES, read_label, read_scan, scan_stem
from pipeline.scans.write import mask_suffix, write_mask, write_scan

__all__ = [
    "PICTURE_SUFFIXES",
    "SCAN_SUFFIXES",
    "NiftiForms",
    "mask_suffix",
    "pair_of",
    "read_label",
    "read_nifti_forms",
    "read_scan",
    "repair_nifti",
    "scan_stem",
    "write_mask",
    "write_scan",
]
