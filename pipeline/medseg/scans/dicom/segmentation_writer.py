"""Masks as a DICOM SEG on the images that they were drawn on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medseg.errors import DeliveryError
from medseg.records import Mask
from medseg.scans.dicom.seg_references import set_dimension_organization


def write_dicom_seg(masks: Mapping[str, Mask], images: Sequence[Path], path: Path) -> None:
    """Write binary segments, one per mask, that refer to the images of a series.

    Args:
        masks: Masks by the name of their structure, bool, shape `(I, J, K)`; an empty one has no frame.
        images: Files of the series as `write_dicom_series` wrote it, slice by slice.
        path: Target file.

    Raises:
        DeliveryError: If every mask is empty.

    Source: PS3.3 A.51, written by highdicom (Bridge et al. 2022, https://doi.org/10.1007/s10278-022-00683-y).
    """
    from highdicom.seg import Segmentation, SegmentationTypeValues
    from pydicom import dcmread
    from pydicom.uid import generate_uid

    if not any(mask.any() for mask in masks.values()):
        raise DeliveryError(
            f"DICOM SEG {path.name}: must have a voxel in a segment, got none", remedy="leave the file out"
        )
    sources = [dcmread(image) for image in images]
    series = str(sources[0].SeriesInstanceUID)
    dataset = Segmentation(
        source_images=sources,
        pixel_array=np.stack([mask.transpose(2, 1, 0) for mask in masks.values()], axis=-1).astype(np.uint8),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_described(number, name) for number, name in enumerate(masks, start=1)],
        series_instance_uid=generate_uid(entropy_srcs=[series, "SEG series"]),
        series_number=100,
        sop_instance_uid=generate_uid(entropy_srcs=[series, "SEG"]),
        instance_number=1,
        manufacturer="medseg",
        manufacturer_model_name="phantom",
        software_versions="1",
        device_serial_number="1",
    )
    set_dimension_organization(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path)


def _described(number: int, name: str) -> Any:
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes

    return SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.Organ,
        algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
    )
