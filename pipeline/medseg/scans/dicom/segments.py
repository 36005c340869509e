"""DICOM SEG: binary, fractional and labelmap segments placed on an image's grid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.records import Array, Mask
from medseg.scans.dicom.elements import first_item, number, text
from medseg.scans.dicom.frame import Frame
from medseg.scans.dicom.functional_groups import frames_of
from medseg.scans.dicom.pixels import check_frames, check_promise, complete_meta

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

Points = npt.NDArray[np.float64]
_SAME_SIZE = 0.1  # of a voxel
_MOST_DRIFT = 0.25  # voxels from the first pixel of a row or column to the last
_HALF = 0.5  # of the largest fractional value: the least that makes a pixel part of the segment


def segment_names(dataset: Dataset) -> tuple[str, ...]:
    """Labels of the segments, in the order of their numbers."""
    return tuple(_names(dataset).values())


def segment_planes(dataset: Dataset) -> Points:
    """First pixel of every frame, LPS+ millimetres, `(N, 3)`."""
    return np.array([frame.position_mm for frame in _frames(dataset) if frame.position_mm]).reshape(-1, 3)


def draw_segments(
    dataset: FileDataset, grid: Geometry, tolerance: float
) -> Iterator[tuple[str, Mask, tuple[str, ...]]]:
    """Each segment's mask, frames placed by position and orientation; a slice without a frame is empty.

    Args:
        dataset: Segmentation.
        grid: Grid of the image.
        tolerance: Largest distance, in voxels, of pixels from the grid's voxels.

    Raises:
        GeometryError: If frames lie on another grid than the image.
        ScanError: If a frame belongs to no segment.

    Source: PS3.3 A.51, C.8.20.
    """
    complete_meta(dataset)
    check_promise(dataset)
    check_frames(dataset)
    frames = _frames(dataset)
    names = _names(dataset)
    is_labelmap = text(dataset, "SegmentationType").upper() == "LABELMAP"
    members = dict.fromkeys(names, range(len(frames))) if is_labelmap else _by_segment(dataset, len(frames))
    for segment, name in names.items():
        mask = np.zeros(grid.shape, bool)
        outside = 0
        for index in members.get(segment, ()):
            outside += _place(_pixels(dataset, index, segment), frames[index], mask, grid, tolerance)
        notes = (f"{outside} labelled pixel(s) lie outside the image",) if outside else ()
        yield name, mask, notes


def segment_extents(dataset: FileDataset) -> Iterator[tuple[str, float, Points]]:
    """Each segment's name, its number of pixels, and the corners `(2, 3)` of its box in LPS+ millimetres."""
    complete_meta(dataset)
    frames, names = _frames(dataset), _names(dataset)
    is_labelmap = text(dataset, "SegmentationType").upper() == "LABELMAP"
    members = dict.fromkeys(names, range(len(frames))) if is_labelmap else _by_segment(dataset, len(frames))
    for segment, name in names.items():
        corners, size = [], 0
        for index in members.get(segment, ()):
            rows, columns = np.nonzero(_pixels(dataset, index, segment))
            if len(rows):
                size += len(rows)
                corners += _corners_mm(rows, columns, frames[index])
        if corners:
            points = np.array(corners)
            yield name, float(size), np.stack([points.min(axis=0), points.max(axis=0)])


def _corners_mm(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], frame: Frame) -> list[Points]:
    """The corners of the box of some pixels of a frame, LPS+ millimetres."""
    if frame.position_mm is None or frame.orientation is None or frame.spacing_mm is None:
        return []
    along = np.array(frame.orientation[:3]) * frame.spacing_mm[1]
    down = np.array(frame.orientation[3:]) * frame.spacing_mm[0]
    sides = [(row, column) for row in (rows.min(), rows.max()) for column in (columns.min(), columns.max())]
    return [np.array(frame.position_mm) + row * down + column * along for row, column in sides]


def _names(dataset: Dataset) -> dict[int, str]:
    """Label of each segment by its number, without the background of a labelmap."""
    named: dict[int, str] = {}
    for item in dataset.get("SegmentSequence") or ():
        segment = int(number(item, "SegmentNumber", 0))
        if segment > 0:
            named[segment] = text(item, "SegmentLabel") or text(item, "SegmentDescription") or f"segment {segment}"
    return dict(sorted(named.items()))


def _frames(dataset: Dataset) -> tuple[Frame, ...]:
    if not dataset.get("PerFrameFunctionalGroupsSequence"):
        raise ScanError("every frame of a SEG must have functional groups, got none", remedy="export it again")
    return frames_of(Path(), dataset)


def _by_segment(dataset: Dataset, count: int) -> dict[int, list[int]]:
    """Frames of each segment."""
    shared = first_item(dataset, "SharedFunctionalGroupsSequence")
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(dataset["PerFrameFunctionalGroupsSequence"].value[:count]):
        item = first_item(group, "SegmentIdentificationSequence")
        if item is None and shared is not None:
            item = first_item(shared, "SegmentIdentificationSequence")
        if item is None:
            raise ScanError(
                "every frame of a SEG must name its segment, got one that does not", remedy="export it again"
            )
        members[int(number(item, "ReferencedSegmentNumber", 0))].append(index)
    return members


def _pixels(dataset: FileDataset, index: int, segment: int) -> Mask:
    """Pixels of the segment in a frame, shape `(rows, columns)`."""
    values = _values(dataset, index)
    kind = text(dataset, "SegmentationType").upper()
    if kind == "LABELMAP":
        return np.asarray(values == segment)
    if kind == "FRACTIONAL":
        return np.asarray(values >= _HALF * number(dataset, "MaximumFractionalValue", 255))
    return np.asarray(values > 0)


def _values(dataset: FileDataset, index: int) -> Array:
    """Stored values of one frame."""
    from pydicom.pixels.utils import pixel_array

    syntax = dataset.file_meta.TransferSyntaxUID
    if number(dataset, "BitsAllocated", 0) != 1 or syntax.is_compressed or not syntax.is_little_endian:
        values: Array = pixel_array(dataset, index=index)
        return values
    # Frames of single bits follow each other within a byte, where pydicom decodes only all of them at once.
    shape = int(number(dataset, "Rows", 0)), int(number(dataset, "Columns", 0))
    first, skipped = divmod(index * shape[0] * shape[1], 8)
    packed = np.frombuffer(dataset.PixelData, np.uint8)[first : first + (skipped + shape[0] * shape[1] + 7) // 8]
    return np.unpackbits(packed, bitorder="little")[skipped : skipped + shape[0] * shape[1]].reshape(shape)


def _place(pixels: Mask, frame: Frame, mask: Mask, grid: Geometry, tolerance: float) -> int:
    """Set a frame's pixels in the volume and return the number of those outside it."""
    rows, columns = np.nonzero(pixels)
    if not len(rows):
        return 0
    origin, down, along = _steps(frame, grid)
    _check_on_grid(origin, down, along, pixels.shape, tolerance)
    places = np.rint(origin + np.outer(rows, np.rint(down)) + np.outer(columns, np.rint(along))).astype(np.int64)
    inside = ((places >= 0) & (places < grid.shape)).all(axis=1)
    i, j, k = places[inside].T
    mask[i, j, k] = True
    return int((~inside).sum())


def _steps(frame: Frame, grid: Geometry) -> tuple[Points, Points, Points]:
    """The first pixel and the steps to the next row and to the next column, in voxels of the grid."""
    if frame.position_mm is None or frame.orientation is None or frame.spacing_mm is None:
        raise GeometryError(
            "every frame of a SEG must give its place in the patient, got one that does not", remedy="export it again"
        )
    corner = np.array(frame.position_mm)
    along = np.array(frame.orientation[:3]) * frame.spacing_mm[1]
    down = np.array(frame.orientation[3:]) * frame.spacing_mm[0]
    points = grid.voxels_of_lps(np.stack([corner, corner + down, corner + along]))
    return points[0], points[1] - points[0], points[2] - points[0]


def _check_on_grid(origin: Points, down: Points, along: Points, size: tuple[int, ...], tolerance: float) -> None:
    """Refuse frames whose pixels are not the image's voxels."""
    drift = max(np.abs(down - np.rint(down)).max() * size[0], np.abs(along - np.rint(along)).max() * size[1])
    sizes = [float(np.linalg.norm(step)) for step in (along, down)]
    if max(abs(one - 1) for one in sizes) > _SAME_SIZE:
        raise GeometryError(
            f"frames of a SEG must have the pixels of its image, got steps of {sizes[0]:.3g} by {sizes[1]:.3g} voxels",
            remedy="export it on the image's grid",
        )
    off = float(np.abs(origin - np.rint(origin)).max())
    is_askew = drift > _MOST_DRIFT
    if is_askew or off > tolerance:
        raise GeometryError(
            f"frames of a SEG must lie on the voxels of its image, got some {max(off, float(drift)):.2g} voxels off",
            remedy="export it on the image's grid"
            if is_askew
            else "ingest with the repair grids to move it onto the nearest voxels, or export it on the image's grid",
        )
