"""The frames of a file: a single one, or those of functional groups, a tomographic NM image or a mosaic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medseg.errors import ScanError
from medseg.geometry import Triple
from medseg.scans.dicom.diffusion import b_value_of, direction_of, direction_of_frame
from medseg.scans.dicom.elements import first_item, number, numbers, text
from medseg.scans.dicom.frame import NO_MARKS, Frame, Marks, Orientation
from medseg.scans.dicom.mosaic import is_mosaic, mosaic_frames

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MOST_FRAMES = 1_000_000


def frames_of(path: Path, header: Dataset) -> tuple[Frame, ...]:
    """The image planes of a file, in stored order.

    Source: PS3.3 C.7.6.16 for functional groups, C.8.4.15 for NM detectors.

    Raises:
        ScanError: If the number of frames is impossible.
    """
    count = int(number(header, "NumberOfFrames", 1))
    if not 1 <= count <= _MOST_FRAMES:
        raise ScanError(f"number of frames must be 1 to {_MOST_FRAMES}, got {count}", remedy="export it again")
    if header.get("PerFrameFunctionalGroupsSequence"):
        return _enhanced_frames(path, header, count)
    if is_mosaic(header):
        return mosaic_frames(_with_file(_single_frame(path, header), header), header)
    detector = first_item(header, "DetectorInformationSequence")
    if detector is not None and "ImagePositionPatient" in detector:
        return _detector_frames(path, header, detector, count)
    single = _single_frame(path, header)
    if count == 1:
        return (single,)
    return tuple(_without_place(single, index) for index in range(count))


def _single_frame(path: Path, header: Dataset) -> Frame:
    return Frame(
        path=path,
        index=0,
        position_mm=_triple(header, "ImagePositionPatient"),
        orientation=_orientation(header),
        spacing_mm=_pixel_spacing(header),
        rows=int(number(header, "Rows", 0)),
        columns=int(number(header, "Columns", 0)),
        slope=_slope(header),
        intercept=number(header, "RescaleIntercept", 0.0),
        marks=_marks(header),
        thickness_mm=number(header, "SliceThickness", 0.0) or None,
        number=_instance_number(header),
    )


def _instance_number(header: Dataset) -> int | None:
    values = numbers(header, "InstanceNumber")
    return int(values[0]) if values else None


def _with_file(frame: Frame, header: Dataset) -> Frame:
    """The frame, marked with the UID of its file."""
    return replace(frame, marks=frame.marks._replace(file=text(header, "SOPInstanceUID")))


def _without_place(frame: Frame, index: int) -> Frame:
    """A frame of a cine loop, whose position in the patient is unknown."""
    return replace(frame, index=index, position_mm=None, orientation=None, marks=NO_MARKS)


def _enhanced_frames(path: Path, header: Dataset, count: int) -> tuple[Frame, ...]:
    shared = first_item(header, "SharedFunctionalGroupsSequence")
    groups = header["PerFrameFunctionalGroupsSequence"].value
    if len(groups) != count:
        raise ScanError(
            f"frames must each have functional groups, got {len(groups)} for {count}", remedy="export it again"
        )
    plain = _with_file(_single_frame(path, header), header)
    is_position = _position_dimensions(header)
    return tuple(
        _enhanced_frame(plain, index, _Groups(group, shared), is_position) for index, group in enumerate(groups)
    )


class _Groups:
    """Macros of one frame: its own, else the shared ones (PS3.3 C.7.6.16.1)."""

    def __init__(self, own: Dataset, shared: Dataset | None) -> None:
        self._levels = [own] if shared is None else [own, shared]

    def macro(self, keyword: str) -> Dataset | None:
        """The only item of a macro's sequence, or None."""
        for level in self._levels:
            item = first_item(level, keyword)
            if item is not None:
                return item
        return None


def _enhanced_frame(plain: Frame, index: int, groups: _Groups, is_position: tuple[bool, ...]) -> Frame:
    position = groups.macro("PlanePositionSequence")
    orientation = groups.macro("PlaneOrientationSequence")
    measures = groups.macro("PixelMeasuresSequence")
    values = groups.macro("PixelValueTransformationSequence")
    thickness_mm = number(measures, "SliceThickness", 0.0) if measures is not None else plain.thickness_mm
    return replace(
        plain,
        index=index,
        position_mm=_triple(position, "ImagePositionPatient") if position is not None else plain.position_mm,
        orientation=_orientation(orientation) if orientation is not None else plain.orientation,
        spacing_mm=_pixel_spacing(measures) if measures is not None else plain.spacing_mm,
        slope=_slope(values) if values is not None else plain.slope,
        intercept=number(values, "RescaleIntercept", 0.0) if values is not None else plain.intercept,
        marks=_enhanced_marks(plain.marks, groups, is_position),
        thickness_mm=thickness_mm or None,
    )


def _enhanced_marks(plain: Marks, groups: _Groups, is_position: tuple[bool, ...]) -> Marks:
    content = groups.macro("FrameContentSequence")
    echo = groups.macro("MREchoSequence")
    diffusion = groups.macro("MRDiffusionSequence")
    kind = groups.macro("MRImageFrameTypeSequence") or groups.macro("CTImageFrameTypeSequence")
    marks = plain._replace(
        image_type=text(kind, "FrameType") if kind is not None else plain.image_type,
        echo=text(echo, "EffectiveEchoTime") if echo is not None else plain.echo,
        b_value=text(diffusion, "DiffusionBValue") if diffusion is not None else plain.b_value,
        gradient=direction_of_frame(diffusion) if diffusion is not None else "",
    )
    if content is None:
        return marks
    dimensions = [round(value) for value in numbers(content, "DimensionIndexValues")]
    others = [value for value, skip in zip(dimensions, is_position, strict=False) if not skip]
    return marks._replace(
        temporal_position=text(content, "TemporalPositionIndex"),
        gradient=marks.gradient + (str(others) if is_position and len(dimensions) == len(is_position) else ""),
        stack=text(content, "StackID"),
        acquisition=text(content, "FrameAcquisitionNumber"),
        acquisition_time=text(content, "FrameAcquisitionDateTime"),
        frame_reference_time=text(content, "FrameReferenceDateTime"),
    )


def _position_dimensions(header: Dataset) -> tuple[bool, ...]:
    """Whether each dimension of the index counts positions: In-Stack Position Number, Image Position (Patient)."""
    pointers = [item.get("DimensionIndexPointer") for item in header.get("DimensionIndexSequence") or ()]
    return tuple(pointer in (0x00209057, 0x00200032) for pointer in pointers)


def _detector_frames(path: Path, header: Dataset, detector: Dataset, count: int) -> tuple[Frame, ...]:
    """Frames of reconstructed NM, from the first position and the signed spacing between slices."""
    plain = _with_file(_single_frame(path, header), header)
    first, orientation = _triple(detector, "ImagePositionPatient"), _orientation(detector)
    step = number(header, "SpacingBetweenSlices", number(header, "SliceThickness", 0.0))
    if first is None or orientation is None or step == 0:
        return tuple(_without_place(plain, index) for index in range(count))
    normal = np.cross(orientation[:3], orientation[3:])
    frames = []
    for index in range(count):
        x, y, z = np.array(first) + index * step * normal
        position = (float(x), float(y), float(z))
        frames.append(replace(plain, index=index, position_mm=position, orientation=orientation))
    return tuple(frames)


def _marks(header: Dataset) -> Marks:
    return Marks(
        image_type=text(header, "ImageType"),
        temporal_position=text(header, "TemporalPositionIdentifier"),
        echo=text(header, "EchoTime") + "/" + text(header, "EchoNumbers"),
        b_value=b_value_of(header),
        gradient=direction_of(header),
        inversion_time=text(header, "InversionTime"),
        flip_angle=text(header, "FlipAngle"),
        trigger_time=text(header, "TriggerTime"),
        frame_reference_time=text(header, "FrameReferenceTime"),
        acquisition=text(header, "AcquisitionNumber"),
        acquisition_time=text(header, "AcquisitionDateTime")
        or text(header, "AcquisitionDate") + text(header, "AcquisitionTime"),
        content_time=text(header, "ContentDate") + text(header, "ContentTime"),
        coding=_coding(header),
    )


def _coding(header: Dataset) -> str:
    """Bits, sign and photometric interpretation."""
    keywords = ("BitsAllocated", "BitsStored", "PixelRepresentation", "PhotometricInterpretation")
    return "/".join(text(header, keyword) for keyword in keywords)


def _slope(dataset: Dataset) -> float:
    """Rescale slope; 0, which some files hold for "none", counts as 1."""
    return number(dataset, "RescaleSlope", 1.0) or 1.0


def _triple(dataset: Dataset, keyword: str) -> Triple | None:
    values = numbers(dataset, keyword)
    return (values[0], values[1], values[2]) if len(values) == 3 else None


def _orientation(dataset: Dataset) -> Orientation | None:
    values = numbers(dataset, "ImageOrientationPatient")
    if len(values) != 6:
        return None
    return (values[0], values[1], values[2], values[3], values[4], values[5])


def _pixel_spacing(dataset: Dataset) -> tuple[float, float] | None:
    """Distance between rows and columns; at the detector if a radiograph is not calibrated (PS3.3 10.7.1.3)."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        values = numbers(dataset, keyword)
        if len(values) == 2 and min(values) > 0:
            return values[0], values[1]
    region = first_item(dataset, "SequenceOfUltrasoundRegions")
    if region is not None and text(region, "PhysicalUnitsXDirection") == "3":  # 3 means centimetres
        down, along = number(region, "PhysicalDeltaY", 0) * 10, number(region, "PhysicalDeltaX", 0) * 10
        return (abs(down), abs(along)) if down and along else None
    return None
