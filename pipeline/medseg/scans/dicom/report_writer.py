"""Measurements as a DICOM structured report that refers to the segments of a SEG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseg.atomic import atomic_path
from medseg.errors import DeliveryError
from medseg.records import Scan
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.derived_object import add_patient, derived_uid, equipment
from medseg.scans.dicom.seg_references import reference_header
from medseg.scans.dicom.seg_segments import TISSUE, coded, segment_label, shortened
from medseg.scans.dicom.source_images import SourceImages, read_source_images
from medseg.scans.segment import Algorithm, CodedTerm, Segment
from medseg.scans.structure_measurements import StructureMeasurements

if TYPE_CHECKING:
    from highdicom.sr import Measurement, VolumetricROIMeasurementsAndQualitativeEvaluations
    from pydicom.dataset import Dataset

SERIES_NUMBER = 9803
_MILLILITRE = CodedTerm("ml", "UCUM", "milliliter")
_MILLIMETRE = CodedTerm("mm", "UCUM", "millimeter")
_VOLUME = CodedTerm("118565006", "SCT", "Volume")
_DIAMETER = CodedTerm("81827009", "SCT", "Diameter")
_LONG_AXIS = CodedTerm("103339001", "SCT", "Long axis")
_SHORT_AXIS = CodedTerm("103340004", "SCT", "Short axis")
_MAXIMUM = CodedTerm("56851009", "SCT", "Maximum")
_MEAN = CodedTerm("373098007", "SCT", "Mean")
_MEDIAN = CodedTerm("373099004", "SCT", "Median")
_SPREAD = CodedTerm("386136009", "SCT", "Standard Deviation")
_NO_UNITS = CodedTerm("1", "UCUM", "no units")
_INTENSITY = {  # by modality; other modalities have no one code for what their voxels hold
    "CT": (CodedTerm("112031", "DCM", "Attenuation Coefficient"), CodedTerm("[hnsf'U]", "UCUM", "Hounsfield unit")),
    "MR": (CodedTerm("110852", "DCM", "MR signal intensity"), _NO_UNITS),
}


def write_measurement_report(
    measurements: Sequence[StructureMeasurements],
    segments: Sequence[Segment],
    scan: Scan,
    seg: Path,
    path: Path,
    *,
    algorithm: Algorithm,
) -> None:
    """Write a measurement report (TID 1500) beside a SEG, whole or not at all.

    Each segment has its volume, its longest diameter in three dimensions, the longest one in a slice and the one at a
    right angle to it; CT and MR also the mean, standard deviation and median of the first channel. An empty structure
    has a volume of 0.

    Args:
        measurements: Measurements of each segment, in the order of the segments.
        segments: Segments of the SEG.
        scan: Scan that the mask was drawn on, read from a DICOM series.
        seg: SEG that `write_seg` wrote for the same mask.
        path: Target file.
        algorithm: Software that drew the mask.

    Raises:
        DeliveryError: If measurements are not those of the segments, or the source images have changed or are missing.
        ScanError: If the SEG is damaged.

    Source: PS3.16 TID 1500 and TID 1411, written by highdicom.
    """
    _check_measurements(measurements, segments)
    sources = read_source_images(scan)
    with reading_dicom("SEG"):
        written = _read_seg(seg)
        dataset = _report(_content(measurements, segments, sources, written, algorithm), sources, written, algorithm)
    add_patient(dataset, sources)
    dataset.SeriesDescription = shortened(f"Measurements: {algorithm.name}")
    with atomic_path(path) as temporary:
        dataset.save_as(temporary)


def _check_measurements(measurements: Sequence[StructureMeasurements], segments: Sequence[Segment]) -> None:
    if [row.number for row in measurements] != [segment.number for segment in segments] or not segments:
        raise DeliveryError(
            "a report must have the measurements of each segment, got those of others",
            remedy="measure the segments of the SEG",
        )


def _read_seg(seg: Path) -> Dataset:
    from pydicom.filereader import dcmread

    return dcmread(seg, stop_before_pixels=True)


def _report(content: Any, sources: SourceImages, written: Dataset, algorithm: Algorithm) -> Dataset:
    from highdicom.sr import ComprehensiveSR

    uid = str(written.SOPInstanceUID)
    return ComprehensiveSR(
        evidence=[
            reference_header(sources, str(written.SOPClassUID), uid, str(written.SeriesInstanceUID)),
            *(
                reference_header(sources, one.sop_class_uid, one.sop_instance_uid, sources.origin.series_uid)
                for one in sources.images
            ),
        ],
        content=content,
        series_instance_uid=derived_uid(uid, "report series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=derived_uid(uid, "report"),
        instance_number=1,
        is_complete=True,
        specific_character_set="ISO_IR 192",
        **equipment(algorithm),
    )


def _content(
    measurements: Sequence[StructureMeasurements],
    segments: Sequence[Segment],
    sources: SourceImages,
    written: Dataset,
    algorithm: Algorithm,
) -> Any:
    from highdicom.sr import (
        DeviceObserverIdentifyingAttributes,
        MeasurementReport,
        ObservationContext,
        ObserverContext,
    )
    from pydicom.sr.codedict import codes

    device = DeviceObserverIdentifyingAttributes(
        uid=derived_uid(algorithm.name, algorithm.version, algorithm.digest),
        name=shortened(algorithm.name),
        manufacturer_name="medseg",
    )
    tracking = {int(item.SegmentNumber): str(item.get("TrackingUID", "")) for item in written.SegmentSequence}
    return MeasurementReport(
        observation_context=ObservationContext(observer_device_context=ObserverContext(codes.DCM.Device, device)),
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=[
            _group(row, segment, sources, written, tracking[segment.number])
            for row, segment in zip(measurements, segments, strict=True)
        ],
    )


def _group(
    row: StructureMeasurements, segment: Segment, sources: SourceImages, written: Dataset, tracking_uid: str
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    """Measurements of a segment."""
    from highdicom.sr import (
        FindingSite,
        ReferencedSegment,
        SourceSeriesForSegmentation,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )

    kind = segment.kind or TISSUE
    side = None if segment.laterality is None else coded(segment.laterality)
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=tracking_uid, identifier=segment_label(segment.name)),
        referenced_segment=ReferencedSegment(
            sop_class_uid=written.SOPClassUID,
            sop_instance_uid=written.SOPInstanceUID,
            segment_number=segment.number,
            source_series=SourceSeriesForSegmentation(sources.origin.series_uid),
        ),
        finding_category=coded(segment.category),
        finding_type=coded(kind),
        finding_sites=None if side is None else [FindingSite(coded(kind), laterality=side)],
        measurements=_measurements(row, sources.origin.modality),
    )


def _measurements(row: StructureMeasurements, modality: str) -> list[Measurement]:
    found = [_measurement(_VOLUME, row.volume_ml, _MILLILITRE)]
    for name, value, derivation in (
        (_DIAMETER, row.longest_mm, _MAXIMUM),
        (_LONG_AXIS, row.in_slice_mm, None),
        (_SHORT_AXIS, row.perpendicular_mm, None),
    ):
        if value is not None:
            found.append(_measurement(name, value, _MILLIMETRE, derivation))
    intensity = row.intensities[0] if row.intensities else None
    if intensity is not None and modality in _INTENSITY:
        name, unit = _INTENSITY[modality]
        for value, derivation in ((intensity.mean, _MEAN), (intensity.sd, _SPREAD), (intensity.median, _MEDIAN)):
            found.append(_measurement(name, value, unit, derivation))
    return found


def _measurement(name: CodedTerm, value: float, unit: CodedTerm, derivation: CodedTerm | None = None) -> Measurement:
    from highdicom.sr import Measurement

    return Measurement(
        name=coded(name),
        value=float(f"{value:.8g}"),
        unit=coded(unit),
        derivation=None if derivation is None else coded(derivation),
    )
