"""Labels as an RTSTRUCT on the images that they were drawn on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from medseg.atomic import atomic_path
from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.records import Labelmap, Mask, Scan
from medseg.scans.dicom.contour_source import check_source
from medseg.scans.dicom.structure_set import image_reference, observation_of, roi_of, structure_set
from medseg.scans.dicom.trace import trace_outlines
from medseg.scans.segment import Algorithm, Segment

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from medseg.origin import SourceSlice

Points = npt.NDArray[np.float64]
_FINEST = 1e-4  # voxels to which corners are written: a hundredth of the inset of the contours
_LONGEST_NUMBER = 16  # characters of a DS
_LONGEST_NAME = 64  # characters of an LO


def write_rtstruct(
    labels: Labelmap, segments: Sequence[Segment], scan: Scan, path: Path, *, algorithm: Algorithm
) -> None:
    """Write the structures of a labelmap as planar contours on the slices of its series.

    Each connected piece of a structure on a slice is one CLOSED_PLANAR contour along the edges of its voxels, a
    hundredth of a voxel within them (see `trace_outlines`), so that every reader finds the labelled voxels again.
    A hole is drawn by the keyhole of the standard: the outer and the inner outline are one contour, joined by a
    channel of no width. It is the only form that all readers know. The other one, an inner contour by itself, means
    a hole only under CLOSEDPLANAR_XOR, which many planning systems refuse; as CLOSED_PLANAR it is a hole for some
    readers, and filled by those that join contours.

    Contours may be axial, sagittal, coronal or oblique, as the series is. A structure without voxels is named, has a
    colour and no contour. The file is in Implicit VR Little Endian, which every system reads and which has no limit
    of 64 KiB for the corners of a contour.

    Args:
        labels: Label values on the scan's own grid, shape `(I, J, K)`.
        segments: Structures; they may overlap.
        scan: Scan that was read from a DICOM series, whose files must still be there.
        path: Target file, written whole or not at all.
        algorithm: Software that drew the labels.

    Raises:
        DeliveryError: If a contour cannot lie on the source images (see `check_source`), a structure has no name or
            one that no element can hold, or the file cannot be written.

    Source: PS3.3 A.19, C.8.8.5, C.8.8.6 (C.8.8.6.3 for the keyhole, C.8.8.6.1 for CLOSEDPLANAR_XOR) and C.8.8.8.
    """
    check_roi_names(segments)
    source = check_source(labels, scan)
    frame_of_reference = source.origin.frame_of_reference_uid
    dataset = structure_set(source, algorithm, content=_content(labels, segments, source.origin.slices))
    dataset.StructureSetROISequence = [roi_of(segment, algorithm, frame_of_reference) for segment in segments]
    dataset.ROIContourSequence = [
        _drawn(segment, segment.mask(labels), scan.geometry, source.origin.slices) for segment in segments
    ]
    dataset.RTROIObservationsSequence = [observation_of(segment) for segment in segments]
    _save(dataset, path)


def check_roi_names(segments: Sequence[Segment]) -> None:
    """Refuse names that an ROI Name cannot hold.

    Raises:
        DeliveryError: If a name is empty, longer than 64 characters, or holds a backslash or a control character; or
            if there is no structure.
    """
    if not segments:
        raise DeliveryError("RTSTRUCT: must have a structure, got none", remedy="leave the file out")
    for segment in segments:
        name = segment.name
        is_plain = "\\" not in name and all(sign.isprintable() for sign in name)
        if not name.strip() or len(name) > _LONGEST_NAME or not is_plain:
            raise DeliveryError(
                f"RTSTRUCT: name of structure {segment.number} must be 1 to {_LONGEST_NAME} printable characters "
                f"without a backslash, got {name!r}",
                remedy="rename the label, or deliver it as NIfTI or as .seg.nrrd",
            )


def _content(labels: Labelmap, segments: Sequence[Segment], slices: Sequence[SourceSlice]) -> str:
    images = [(one.sop_instance_uid, one.frame_number) for one in slices]  # they tell the volumes of a series apart
    digest = hashlib.sha256(repr((labels.shape, segments, images)).encode())
    for k in range(labels.shape[2]):
        digest.update(np.ascontiguousarray(labels[:, :, k].T).astype("<u4").tobytes())
    return digest.hexdigest()


def _drawn(segment: Segment, mask: Mask, geometry: Geometry, slices: Sequence[SourceSlice]) -> Dataset:
    """Item of the ROI Contour Sequence.

    Source: PS3.3 C.8.8.6.
    """
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ROIDisplayColor = list(segment.colour)
    item.ReferencedROINumber = segment.number
    contours = [_contour(points, geometry, slices[k], k) for k, points in _outlines(mask)]
    for number, contour in enumerate(contours, start=1):
        contour.ContourNumber = number
    if contours:
        item.ContourSequence = contours
    return item


def _outlines(mask: Mask) -> Iterator[tuple[int, Points]]:
    """Polygons `(N, 2)` in pixels of the slices that they lie on."""
    extents = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not len(extents[0]):
        return
    (i, last_i), (j, last_j) = ((int(one[0]), int(one[-1]) + 1) for one in extents[:2])
    for k in extents[2]:
        for outline in trace_outlines(mask[i:last_i, j:last_j, k]):
            yield int(k), outline + np.array([i, j])


def _contour(outline: Points, geometry: Geometry, source: SourceSlice, k: int) -> Dataset:
    """Item of the Contour Sequence."""
    from pydicom.charset import default_encoding
    from pydicom.dataelem import RawDataElement
    from pydicom.dataset import Dataset
    from pydicom.tag import Tag

    affine = geometry.to_lps()
    points = outline @ affine[:3, :2].T + (affine[:3, 2] * k + affine[:3, 3])
    item = Dataset()
    item.ContourImageSequence = [image_reference(source.sop_class_uid, source.sop_instance_uid, source.frame_number)]
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints = len(points)
    # Written as it stands: pydicom would make an object of every number.
    item.set_original_encoding(True, True, default_encoding)
    value = _decimals(points, min(geometry.spacing_mm)).encode("ascii")
    tag = Tag("ContourData")
    item[tag] = RawDataElement(tag, "DS", len(value), value, 0, True, True)
    return item


def _decimals(points: Points, spacing_mm: float) -> str:
    """Coordinates as decimal strings of at most 16 characters, an even number of characters in all.

    Source: PS3.5 6.2, DS.
    """
    from pydicom.valuerep import format_number_as_ds

    decimals = max(0, int(np.ceil(-np.log10(_FINEST * spacing_mm))))
    values = points.ravel().tolist()
    if len(f"{-np.abs(points).max():.{decimals}f}") > _LONGEST_NUMBER:
        text = "\\".join(map(format_number_as_ds, values))
    else:
        text = "\\".join(map(f"%.{decimals}f".__mod__, values))
    return text + " " * (len(text) % 2)


def _save(dataset: Dataset, path: Path) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ImplicitVRLittleEndian

    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    with atomic_path(path, suffix=".dcm") as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
