"""DICOM objects that hold labels: their structures, and the images that they refer to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.records import Mask
from medseg.scans.dicom.contours import (
    draw_contours,
    names_without_area,
    roi_names,
    structure_extents,
    structure_planes,
)
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.elements import text
from medseg.scans.dicom.segments import draw_segments, segment_extents, segment_names, segment_planes

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

Kind = Literal["SEG", "RTSTRUCT"]
_UNDEFINED = 0xFFFFFFFF
_NUMBERS = {0x30060050, 0x7FE00010}  # contour and pixel data refer to nothing and are slow to convert


class Drawn(NamedTuple):
    """One structure on an image's grid.

    Attributes:
        name: Name of the structure in the object.
        mask: Bool, shape `(I, J, K)`.
        notes: Clauses about what was left out or moved.
    """

    name: str
    mask: Mask
    notes: tuple[str, ...]


class Extent(NamedTuple):
    """The size of a structure and its place, to compare the structures of one object.

    Attributes:
        name: Name of the structure in the object.
        size: Number that grows with its volume.
        box: Its least and greatest coordinates, shape `(2, 3)`.
    """

    name: str
    size: float
    box: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LabelObject:
    """A SEG or RTSTRUCT.

    Attributes:
        path: The file.
        kind: `SEG` or `RTSTRUCT`.
        names: Names of the structures, in stored order; they may repeat.
        referenced_images: SOP instance UIDs of the images that it names as its own.
        referenced_series: Series UIDs that it names as its own.
        frame_of_reference_uid: (0020,0052) of its coordinates.
        planes_mm: LPS+ points on its planes, shape `(N, 3)`, which must lie in the image.
        without_area: What each structure that cannot be drawn holds instead of an area, by its name.
    """

    path: Path
    kind: Kind
    names: tuple[str, ...]
    referenced_images: frozenset[str]
    referenced_series: frozenset[str]
    frame_of_reference_uid: str
    planes_mm: npt.NDArray[np.float64] = field(repr=False)
    without_area: dict[str, str] = field(default_factory=dict)


def read_label_object(path: Path) -> LabelObject:
    """Read the names, references and planes of a SEG or RTSTRUCT, without drawing it.

    Raises:
        ScanError: If it is damaged or neither of the two.
    """
    with reading_dicom("label"):
        dataset = _read(path)
        kind = _kind(dataset)
        images, series = _references(dataset)
        return LabelObject(
            path=path,
            kind=kind,
            names=segment_names(dataset) if kind == "SEG" else roi_names(dataset),
            referenced_images=frozenset(images),
            referenced_series=frozenset(series),
            frame_of_reference_uid=_frame_of_reference(dataset),
            planes_mm=segment_planes(dataset) if kind == "SEG" else structure_planes(dataset),
            without_area={} if kind == "SEG" else names_without_area(dataset),
        )


def label_extents(label: LabelObject) -> tuple[Extent, ...]:
    """Size and box of each structure that is not empty, in the coordinates of the object.

    Raises:
        ScanError: If the object is damaged.
    """
    with reading_dicom("label"):
        dataset = _read(label.path)
        extents = segment_extents(dataset) if label.kind == "SEG" else structure_extents(dataset)
        return tuple(Extent(*extent) for extent in extents)


def draw_label_object(label: LabelObject, grid: Geometry, *, tolerance: float = 0.1) -> Iterator[Drawn]:
    """Draw each structure on an image's grid, one at a time.

    Args:
        label: Label object to draw.
        grid: Grid of the image.
        tolerance: Largest distance, in voxels, of a stored plane or pixel from the grid's; up to 0.5 where a repair
            moved the image's slices.

    Raises:
        GeometryError: If the object lies on another grid.
        ScanError: If it is damaged.
    """
    with reading_dicom("label"):
        dataset = _read(label.path)
        drawn = draw_segments if label.kind == "SEG" else draw_contours
        for name, mask, notes in drawn(dataset, grid, tolerance):
            yield Drawn(name, mask, notes)


def _read(path: Path) -> FileDataset:
    """The whole file; one that ends early is refused, since pydicom would silently drop the last contours."""
    from pydicom.dataelem import RawDataElement
    from pydicom.filereader import dcmread

    dataset = dcmread(path, force=True)
    for tag in dataset.keys():  # noqa: SIM118 (iterating a data set converts its elements)
        raw = dataset.get_item(tag)
        if isinstance(raw, RawDataElement) and raw.length != _UNDEFINED and len(raw.value or b"") < raw.length:
            raise ScanError("DICOM label must be whole, got a file that ends early", remedy="copy or export it again")
    return dataset


def _kind(dataset: Dataset) -> Kind:
    if text(dataset, "Modality").upper() == "SEG" or "SegmentSequence" in dataset:
        return "SEG"
    if "StructureSetROISequence" in dataset:
        return "RTSTRUCT"
    raise ScanError("a label object must be a SEG or an RTSTRUCT, got neither", remedy="export it again")


def _frame_of_reference(dataset: Dataset) -> str:
    """UID of an RTSTRUCT's structures, else that of the whole object."""
    for keyword in ("StructureSetROISequence", "ReferencedFrameOfReferenceSequence"):
        for item in dataset.get(keyword) or ():
            found = text(item, "ReferencedFrameOfReferenceUID") or text(item, "FrameOfReferenceUID")
            if found:
                return found
    return text(dataset, "FrameOfReferenceUID")


def _references(dataset: Dataset) -> tuple[set[str], set[str]]:
    """All images and series that the object names, at any depth."""
    images: set[str] = set()
    series: set[str] = set()
    pending: list[Dataset] = [dataset]
    while pending:
        item = pending.pop()
        for tag in item.keys() - _NUMBERS:
            element = item[tag]
            if element.VR == "SQ":
                pending += element.value
            elif element.keyword == "ReferencedSOPInstanceUID":
                images.add(str(element.value))
            elif element.keyword == "SeriesInstanceUID":
                series.add(str(element.value))
    return images, series - {text(dataset, "SeriesInstanceUID")}
