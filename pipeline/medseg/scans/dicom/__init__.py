"""DICOM in, and out as results on a series or for made-up patients; the only importer of pydicom."""

from __future__ import annotations

from medseg.scans.dicom.contour_reading import read_rtstruct_independently, read_rtstruct_with_medseg
from medseg.scans.dicom.contour_writer import write_rtstruct
from medseg.scans.dicom.contours import NO_CONTOUR
from medseg.scans.dicom.damage import quiet_dicom, silence_dicom
from medseg.scans.dicom.deflated import inflated_bytes
from medseg.scans.dicom.dose_check import check_rtdose
from medseg.scans.dicom.dose_reading import DOSE_CLASS, DoseObject, ReadDose, read_dose, read_dose_object
from medseg.scans.dicom.dose_writer import NOT_FOR_TREATMENT, write_rtdose
from medseg.scans.dicom.identity import Identity
from medseg.scans.dicom.identity_reading import read_patient_and_study
from medseg.scans.dicom.instance import Instance, is_dicom, read_instance
from medseg.scans.dicom.label_object import (
    Drawn,
    Extent,
    LabelObject,
    draw_label_object,
    label_extents,
    read_label_object,
)
from medseg.scans.dicom.planes import Problem
from medseg.scans.dicom.planned_dose import write_dicom_dose
from medseg.scans.dicom.reference_reading import images_text, read_rtstruct_references, read_seg_references
from medseg.scans.dicom.repair import REPAIRS, straight_geometry
from medseg.scans.dicom.report_reading import evidence_text, read_report_with_highdicom, read_report_with_pydicom
from medseg.scans.dicom.report_writer import write_measurement_report
from medseg.scans.dicom.seg_identity import SegIdentity, read_seg_identity
from medseg.scans.dicom.seg_reading import read_seg_with_dcmqi, read_seg_with_highdicom
from medseg.scans.dicom.seg_writer import SegKind, write_seg
from medseg.scans.dicom.segmentation_writer import write_dicom_seg
from medseg.scans.dicom.series import LABEL_CLASSES, FoundSeries, SeriesRules, find_series
from medseg.scans.dicom.series_writer import write_dicom_series
from medseg.scans.dicom.suv import suv_factor
from medseg.scans.dicom.volume import SeriesScan, read_series

__all__ = [
    "DOSE_CLASS",
    "LABEL_CLASSES",
    "NOT_FOR_TREATMENT",
    "NO_CONTOUR",
    "REPAIRS",
    "DoseObject",
    "Drawn",
    "Extent",
    "FoundSeries",
    "Identity",
    "Instance",
    "LabelObject",
    "Problem",
    "ReadDose",
    "SegIdentity",
    "SegKind",
    "SeriesRules",
    "SeriesScan",
    "check_rtdose",
    "draw_label_object",
    "evidence_text",
    "find_series",
    "images_text",
    "inflated_bytes",
    "is_dicom",
    "label_extents",
    "quiet_dicom",
    "read_dose",
    "read_dose_object",
    "read_instance",
    "read_label_object",
    "read_patient_and_study",
    "read_report_with_highdicom",
    "read_report_with_pydicom",
    "read_rtstruct_independently",
    "read_rtstruct_references",
    "read_rtstruct_with_medseg",
    "read_seg_identity",
    "read_seg_references",
    "read_seg_with_dcmqi",
    "read_seg_with_highdicom",
    "read_series",
    "silence_dicom",
    "straight_geometry",
    "suv_factor",
    "write_dicom_dose",
    "write_dicom_seg",
    "write_dicom_series",
    "write_measurement_report",
    "write_rtdose",
    "write_rtstruct",
    "write_seg",
]
