"""SEGs and RTSTRUCTs read back: the images that they stand on, and colours, codes and makers of their structures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medseg.geometry import Geometry
from medseg.origin import SeriesOrigin
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.elements import text
from medseg.scans.dicom.recommended_colour import rgb_of_cielab
from medseg.scans.statements import Key, Statements

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_BACKGROUND = 0  # number of a labelmap's segment that is no structure
Place = tuple[Sequence[float], Sequence["Dataset"]]  # millimetres in LPS+, and what is referred to there


def read_seg_references(path: Path, grid: Geometry, origin: SeriesOrigin) -> Statements:
    """Read by pydicom what a SEG says beside voxels and names.

    Args:
        path: The SEG.
        grid: Grid of the scan, by which slices are counted.
        origin: Series that the references are compared with.

    Raises:
        ScanError: If the file is damaged.

    Source: PS3.3 A.51, C.8.20.4 and C.12.2.
    """
    import pydicom

    with reading_dicom("SEG"):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        series = dataset.ReferencedSeriesSequence
        said = _header(dataset, origin, [text(dataset, "FrameOfReferenceUID")])
        said["file", "images"] = images_text(
            (str(one.SeriesInstanceUID), str(image.ReferencedSOPInstanceUID))
            for one in series
            for image in one.ReferencedInstanceSequence
        )
        said["file", "references to another image"] = _strange(_frames(dataset), grid, origin)
        for item in dataset.SegmentSequence:
            if item.SegmentNumber != _BACKGROUND:
                said |= _once(f"segment {int(item.SegmentNumber)}", _of_segment(item), said)
    return Statements(library=f"pydicom {pydicom.__version__}", values=said)


def read_rtstruct_references(path: Path, grid: Geometry, origin: SeriesOrigin) -> Statements:
    """Read by pydicom what an RTSTRUCT says beside contours and names.

    Args:
        path: The RTSTRUCT.
        grid: Grid of the scan, by which slices are counted.
        origin: Series that the references are compared with.

    Raises:
        ScanError: If the file is damaged.

    Source: PS3.3 A.19, C.8.8.5, C.8.8.6 and C.8.8.8.
    """
    import pydicom

    with reading_dicom("RTSTRUCT"):
        dataset = pydicom.dcmread(path)
        frames = dataset.ReferencedFrameOfReferenceSequence
        rois = dataset.StructureSetROISequence
        uids = [text(dataset, "FrameOfReferenceUID"), *(text(one, "FrameOfReferenceUID") for one in frames)]
        said = _header(dataset, origin, [*uids, *(text(one, "ReferencedFrameOfReferenceUID") for one in rois)])
        said["file", "images"] = images_text(
            (str(series.SeriesInstanceUID), str(image.ReferencedSOPInstanceUID))
            for frame in frames
            for study in frame.RTReferencedStudySequence
            for series in study.RTReferencedSeriesSequence
            for image in series.ContourImageSequence
        )
        said["file", "references to another image"] = _strange(_contours(dataset), grid, origin)
        for item in dataset.ROIContourSequence:
            colour = " ".join(str(int(part)) for part in item.ROIDisplayColor)
            said |= _once(f"segment {int(item.ReferencedROINumber)}", [("colour", colour)], said)
        for item in dataset.RTROIObservationsSequence:
            said |= {(f"segment {int(item.ReferencedROINumber)}", what): value for what, value in _observed(item)}
    return Statements(
        library=f"pydicom {pydicom.__version__}", values={key: one for key, one in said.items() if one != ""}
    )


def images_text(images: Iterable[tuple[str, str]]) -> str:
    """UIDs of series and instance of images as one text in their order."""
    return "\n".join("/".join(one) for one in sorted(images))


def _header(dataset: Dataset, origin: SeriesOrigin, frames_of_reference: Iterable[str]) -> dict[Key, str | float]:
    """What the object is, and where it belongs."""
    meta = dataset.file_meta
    kinds, uids = {meta.MediaStorageSOPClassUID, dataset.SOPClassUID}, {dataset.SOPInstanceUID}
    is_named_once = uids == {meta.MediaStorageSOPInstanceUID} and len(kinds) == 1
    said: dict[Key, str | float] = {
        ("file", "SOP Class UID"): str(dataset.SOPClassUID),
        ("file", "modality"): str(dataset.Modality),
        ("file", "one name in both headers"): "yes" if is_named_once else "no",
        ("file", "series of its own"): "no" if str(dataset.SeriesInstanceUID) == origin.series_uid else "yes",
    }
    if origin.frame_of_reference_uid:
        said["file", "frame of reference"] = "\n".join(sorted(set(frames_of_reference)))
    return said


def _frames(dataset: Dataset) -> Iterator[Place]:
    """Place and images of each frame of a SEG."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for group in dataset.PerFrameFunctionalGroupsSequence:
        planes = group if "PlanePositionSequence" in group else shared
        derived = group if "DerivationImageSequence" in group else shared
        place = planes.PlanePositionSequence[0].ImagePositionPatient
        yield [float(part) for part in place], derived.DerivationImageSequence[0].SourceImageSequence


def _contours(dataset: Dataset) -> Iterator[Place]:
    """First corner and images of each contour of an RTSTRUCT."""
    for roi in dataset.ROIContourSequence:
        for contour in roi.get("ContourSequence") or ():
            written = contour.get_item("ContourData").value  # as one text: pydicom would make an object of every number
            first = written.split(b"\\", 3)[:3] if isinstance(written, bytes) else contour.ContourData[:3]
            yield [float(part) for part in first], contour.ContourImageSequence


def _strange(places: Iterable[Place], grid: Geometry, origin: SeriesOrigin) -> int:
    """Number of places whose images are not those of their slice, or of the series where a repair made the slices."""
    to_voxels = np.linalg.inv(grid.to_lps())
    every = sorted({(one.sop_class_uid, one.sop_instance_uid, None) for one in origin.slices})
    count = 0
    for place, items in places:
        k = round(float(to_voxels[2, :3] @ np.asarray(place) + to_voxels[2, 3]))
        found = sorted(_image(one) for one in items)
        if origin.is_resampled:
            count += found != every
        elif 0 <= k < len(origin.slices):
            one = origin.slices[k]
            count += found != [(one.sop_class_uid, one.sop_instance_uid, one.frame_number)]
        else:
            count += 1
    return count


def _image(item: Dataset) -> tuple[str, str, int | None]:
    frame = item.get("ReferencedFrameNumber")
    return str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID), None if frame is None else int(frame)


def _of_segment(item: Dataset) -> Iterator[tuple[str, str | float]]:
    colour = rgb_of_cielab(item.RecommendedDisplayCIELabValue)
    yield from zip(("red", "green", "blue"), colour, strict=True)
    yield "category", _code(item.SegmentedPropertyCategoryCodeSequence[0])
    yield from _kind(item.SegmentedPropertyTypeCodeSequence[0])
    yield "drawn", str(item.SegmentAlgorithmType)
    maker = item.SegmentationAlgorithmIdentificationSequence[0]
    yield "algorithm", f"{maker.AlgorithmName} {maker.AlgorithmVersion}"


def _observed(item: Dataset) -> Iterator[tuple[str, str]]:
    yield "interpreted type", text(item, "RTROIInterpretedType")
    yield "category", _code(item.SegmentedPropertyCategoryCodeSequence[0])
    for kind in item.get("RTROIIdentificationCodeSequence") or ():
        yield from _kind(kind)


def _kind(kind: Dataset) -> Iterator[tuple[str, str]]:
    yield "type", _code(kind)
    for side in kind.get("SegmentedPropertyTypeModifierCodeSequence") or ():
        yield "side", _code(side)


def _code(code: Dataset) -> str:
    return f"{code.CodeMeaning} ({code.CodeValue}, {code.CodingSchemeDesignator})"


def _once(
    subject: str, pairs: Iterable[tuple[str, str | float]], said: dict[Key, str | float]
) -> dict[Key, str | float]:
    """Statements of a subject, under a name that no other file has where the file has it twice."""
    subject += " again" * any(key[0] == subject for key in said)
    return {(subject, what): value for what, value in pairs}
