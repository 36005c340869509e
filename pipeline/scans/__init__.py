"""Scan and label files in and out; the only room that knows file formats."""

from __future__ import annotations

from pipeline.scans.grid import FileGrid, read_grid
from pipeline.scans.itk import ITK_SUFFIXES, covered_fraction, regrid, segment_names
from pipeline.scans.nifti import NIFTI_SUFFIXES, pair_of
from pipeline.scans.nifti_forms import NiftiForms, read_nifti_forms
from pipeline.scans.nifti_repair import repair_nifti
from pipeline.scans.picture import PICTURE_SUFFIXES, read_picture, write_picture
from pipeline.scans.read import SCAN_SUFFIXES, read_label, read_scan, scan_stem
from pipeline.scans.write import mask_suffix, write_mask, write_scan

__all__ = [
    "ITK_SUFFIXES",
    "NIFTI_SUFFIXES",
    "PICTURE_SUFFIXES",
    "SCAN_SUFFIXES",
    "FileGrid",
    "NiftiForms",
    "covered_fraction",
    "mask_suffix",
    "pair_of",
    "read_grid",
    "read_label",
    "read_nifti_forms",
    "read_picture",
    "read_scan",
    "regrid",
    "repair_nifti",
    "scan_stem",
    "segment_names",
    "write_mask",
    "write_picture",
    "write_scan",
]
