"""Scan and label files in and out; the only room that knows file formats."""

from __future__ import annotations

from medseg.scans.grid import FileGrid, read_grid
from medseg.scans.itk import ITK_SUFFIXES, covered_fraction, regrid
from medseg.scans.label_reading import (
    read_nifti_with_nibabel,
    read_nifti_with_simpleitk,
    read_seg_nrrd_with_pynrrd,
    read_seg_nrrd_with_simpleitk,
)
from medseg.scans.label_values import are_whole, scaling_note, whole_label
from medseg.scans.nifti import NIFTI_SUFFIXES, pair_of
from medseg.scans.nifti_forms import NiftiForms, read_nifti_forms
from medseg.scans.nifti_repair import repair_nifti
from medseg.scans.nifti_words import form_places, nifti_words, read_nifti_words
from medseg.scans.picture import is_picture_file, read_picture, write_picture
from medseg.scans.promised_voxels import promised_voxels
from medseg.scans.read import SCAN_SUFFIXES, read_label, read_layers, read_quantity, read_scan, scan_stem
from medseg.scans.seg_nrrd import write_seg_nrrd
from medseg.scans.seg_nrrd_words import read_seg_nrrd_words
from medseg.scans.slicer_segments import SlicerSegment, segment_names, slicer_segments
from medseg.scans.voxel_files import voxel_files
from medseg.scans.whole_values import few_whole_values
from medseg.scans.write import QUANTITY_SUFFIX, mask_suffix, write_mask, write_quantity, write_scan, write_share_map

__all__ = [
    "ITK_SUFFIXES",
    "NIFTI_SUFFIXES",
    "QUANTITY_SUFFIX",
    "SCAN_SUFFIXES",
    "FileGrid",
    "NiftiForms",
    "SlicerSegment",
    "are_whole",
    "covered_fraction",
    "few_whole_values",
    "form_places",
    "is_picture_file",
    "mask_suffix",
    "nifti_words",
    "pair_of",
    "promised_voxels",
    "read_grid",
    "read_label",
    "read_layers",
    "read_nifti_forms",
    "read_nifti_with_nibabel",
    "read_nifti_with_simpleitk",
    "read_nifti_words",
    "read_picture",
    "read_quantity",
    "read_scan",
    "read_seg_nrrd_with_pynrrd",
    "read_seg_nrrd_with_simpleitk",
    "read_seg_nrrd_words",
    "regrid",
    "repair_nifti",
    "scaling_note",
    "scan_stem",
    "segment_names",
    "slicer_segments",
    "voxel_files",
    "whole_label",
    "write_mask",
    "write_picture",
    "write_quantity",
    "write_scan",
    "write_seg_nrrd",
    "write_share_map",
]
