"""A mask as a DICOM SEG that refers to the images that it was drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medseg.atomic import atomic_path
from medseg.errors import DeliveryError
from medseg.records import Labelmap, Scan
from medseg.scans.dicom.derived_object import add_patient, content_digest, derived_uid, equipment
from medseg.scans.dicom.label_numbers import values_in
from medseg.scans.dicom.rle import compress_by_runs
from medseg.scans.dicom.seg_planes import Planes, binary_planes, labelmap_planes
from medseg.scans.dicom.seg_references import plane_headers, refer_to_sources
from medseg.scans.dicom.seg_segments import check_segments, describe_segments, shortened
from medseg.scans.dicom.source_images import SourceImages, read_source_images
from medseg.scans.segment import Algorithm, Segment

if TYPE_CHECKING:
    from highdicom.seg import Segmentation

SegKind = Literal["labelmap", "binary"]
SERIES_NUMBER = {"labelmap": 9801, "binary": 9802}


def write_seg(
    labels: Labelmap,
    segments: Sequence[Segment],
    scan: Scan,
    path: Path,
    *,
    kind: SegKind,
    algorithm: Algorithm,
) -> None:
    """Write a DICOM SEG, whole or not at all.

    UIDs are made from the content, so that the same mask written again is the same object to an archive. Frames lie on
    the grid of the scan; each refers to its source image, unless a repair made new slices, in which case all of them
    refer to the whole series.

    Args:
        labels: Values on the grid of the scan, shape `(I, J, K)`.
        segments: Structures that the values show; every value but 0 belongs to one.
        scan: Scan that the mask was drawn on, read from a DICOM series.
        path: Target file.
        kind: `labelmap` holds all structures in one image per slice, compressed by RLE; structures must not share
            voxels. `binary` has an image per structure and slice where it has voxels, which older viewers know too.
        algorithm: Software that drew the mask.

    Raises:
        DeliveryError: If the mask is on another grid or has values without a segment, segments cannot be held, a
            labelmap's structures share values, the scan is no DICOM volume in grey values, or its source images have
            changed or are missing.

    Source: PS3.3 A.51 and C.8.20, written by highdicom (Bridge et al. 2022, https://doi.org/10.1007/s10278-022-00683-y).
    """
    check_segments(segments)
    _check_labels(labels, segments, scan)
    sources = read_source_images(scan)
    planes = labelmap_planes(labels, segments) if kind == "labelmap" else binary_planes(labels, segments)
    images = sources.images_key
    digest = content_digest(planes.pixels, scan.geometry, planes.places, tuple(segments), algorithm, kind, images)
    dataset = _segmentation(planes, sources, segments, algorithm=algorithm, kind=kind, digest=digest)
    # highdicom sets 1 mm between the slices of a file that has a single one
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence = _measures(sources)
    refer_to_sources(dataset, sources)
    add_patient(dataset, sources)
    dataset.SeriesDescription = shortened(f"Segmentation: {algorithm.name}")
    if kind == "labelmap":
        compress_by_runs(dataset)
    with atomic_path(path) as temporary:
        dataset.save_as(temporary)


def _check_labels(labels: Labelmap, segments: Sequence[Segment], scan: Scan) -> None:
    """Refuse another grid, and values that would be left out."""
    if labels.shape != scan.geometry.shape:
        raise DeliveryError(
            f"mask must have the shape of its scan {scan.geometry.shape}, got {labels.shape}",
            remedy="predict the case again",
        )
    known = {0, *(value for segment in segments for value in segment.values)}
    unknown = sorted(set(values_in(labels)) - known)
    if unknown:
        raise DeliveryError(
            f"every value of the mask must belong to a segment, got {unknown[0]} that belongs to none",
            remedy="give the labels of the model that drew the mask",
        )


def _segmentation(
    planes: Planes,
    sources: SourceImages,
    segments: Sequence[Segment],
    *,
    algorithm: Algorithm,
    kind: SegKind,
    digest: str,
) -> Segmentation:
    from highdicom.seg import Segmentation

    series = sources.origin.series_uid
    return Segmentation(
        source_images=plane_headers(sources, planes.places),
        pixel_array=planes.pixels,
        segmentation_type=kind.upper(),
        segment_descriptions=describe_segments(
            segments, algorithm, [derived_uid(digest, series, f"segment {one.number}") for one in segments]
        ),
        series_instance_uid=derived_uid(digest, series, "series"),
        series_number=SERIES_NUMBER[kind],
        sop_instance_uid=derived_uid(digest, series, "instance"),
        instance_number=1,
        omit_empty_frames=planes.omits_empty,
        content_label="SEGMENTATION",
        content_description=shortened(algorithm.notice),
        content_creator_name="medseg^",
        specific_character_set="ISO_IR 192",
        pixel_measures=_measures(sources),
        **equipment(algorithm),
    )


def _measures(sources: SourceImages) -> Any:
    from highdicom import PixelMeasuresSequence

    along_row, along_column, between = sources.geometry.spacing_mm
    return PixelMeasuresSequence(
        pixel_spacing=(along_column, along_row), slice_thickness=between, spacing_between_slices=between
    )
