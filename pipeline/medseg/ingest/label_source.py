"""One label of a source: a SEG, an RTSTRUCT or a mask file, and the names of its structures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medseg.cohort import CASE_ERRORS
from medseg.errors import PipelineError, ScanError
from medseg.geometry import Geometry
from medseg.ingest.image_source import dicom_patient
from medseg.ingest.mask_extents import mask_extents
from medseg.ingest.name_tokens import ROLE_WORDS
from medseg.ingest.own_spelling import names_structure, readable, without_words
from medseg.ingest.refusal import Refusal
from medseg.manifest.load import read_manifest
from medseg.records import Array, Labelmap
from medseg.scans import (
    SlicerSegment,
    are_whole,
    is_picture_file,
    read_label,
    read_layers,
    read_picture,
    scan_stem,
    segment_names,
    slicer_segments,
)
from medseg.scans.dicom import NO_CONTOUR, Extent, Instance, LabelObject, read_label_object

OBJECT = "object"
_MANY_VALUES = 64
_MOST_STRUCTURES = 1000
_LOSSY = (".jpg", ".jpeg")


@dataclass(frozen=True, slots=True, eq=False)
class LabelSource:
    """A file that holds labels.

    Attributes:
        path: File of the label.
        kind: Kind of the label, for a person.
        names: Names of its structures in the source, in stored order.
        time: Series time of a DICOM object, by which the latest is known.
        label_object: SEG or RTSTRUCT; None for a mask file.
        values: Name of each value of a mask file; None for a DICOM object, and for a file of several layers.
        segments: Segments of a file of several layers, in which they may overlap.
        grid: Grid of a mask file; None for a DICOM object.
        is_named: Whether the file or its neighbours give a name for any value of a mask.
        has_objects: Whether the values of a mask file number single objects instead of structures.
        is_one_object: Whether a mask file holds one of the several objects of its image.
        extents: Size and place of each structure of a mask file, in LPS+ millimetres.
        notes: Notes on what of the label is left out.
        refusal: Reason why it cannot be read; None if it can.
        patient: Patient of a DICOM object as the source gives it; never written.
    """

    path: Path
    kind: str
    names: tuple[str, ...] = ()
    time: str = ""
    label_object: LabelObject | None = None
    values: dict[int, str] | None = None
    segments: tuple[SlicerSegment, ...] = ()
    grid: Geometry | None = None
    is_named: bool = True
    has_objects: bool = False
    is_one_object: bool = False
    extents: tuple[Extent, ...] = ()
    notes: tuple[str, ...] = ()
    refusal: Refusal | None = None
    patient: str = ""

    def renamed(self, change: Callable[[str], str]) -> LabelSource:
        """The same label with other names for its structures."""
        return replace(
            self,
            names=tuple(dict.fromkeys(map(change, self.names))),
            values={value: change(name) for value, name in self.values.items()} if self.values is not None else None,
            segments=tuple(one._replace(name=change(one.name)) for one in self.segments),
            extents=tuple(one._replace(name=change(one.name)) for one in self.extents),
        )

    def as_objects(self) -> LabelSource:
        """The same mask with values that number objects of one structure, unless it names its values."""
        if self.values is None or self.is_named:
            return self
        return replace(self, names=(OBJECT,), values=dict.fromkeys(self.values, OBJECT), has_objects=True)

    def as_one_object(self, name: str) -> LabelSource:
        """The same mask as a single object of a structure."""
        values = dict.fromkeys(self.values or (), name)
        return replace(self, names=(name,), values=values, has_objects=True, is_one_object=True, extents=())


def object_label(instance: Instance) -> LabelSource:
    """The label of a DICOM object, with a refusal if it cannot be read."""
    try:
        found = read_label_object(instance.path)
    except CASE_ERRORS as error:
        damage = Refusal.of_error("unreadable", error)
        return LabelSource(instance.path, instance.modality or "label object", refusal=damage)
    refusal = None
    if not found.names:
        refusal = _no_area(found)
    return LabelSource(
        instance.path,
        found.kind,
        found.names,
        time=instance.series_time,
        label_object=found,
        refusal=refusal,
        patient=dicom_patient(instance),
    )


def _no_area(found: LabelObject) -> Refusal:
    """The refusal of an object of which nothing can be drawn, by the names of its structures."""
    listed = ", ".join(f"{name!r} of {holds}" for name, holds in found.without_area.items() if holds != NO_CONTOUR)
    if listed:
        fact = f"a {found.kind} must hold a structure with an area, got {listed}"
        return Refusal("unreadable", fact, "close the contours, and export it again")
    count = f" but {len(found.without_area)} without a contour" if found.without_area else ""
    return Refusal("unreadable", f"a {found.kind} must hold a structure, got none{count}", "export it again")


def mask_label(
    path: Path, *, shared_words: frozenset[str], value_names: dict[int, str], kind: str = "mask"
) -> LabelSource:
    """The label of a mask file, with a refusal if it cannot be read.

    Args:
        path: File of the mask.
        shared_words: Words that the names of the mask and its image share, which name no structure.
        value_names: Names of values from a dataset.json beside the mask.
        kind: Kind of the label, for a person.
    """
    try:
        if _has_layers(path):
            return _layered_label(path, kind)
        mask, grid = read_mask(path)
    except CASE_ERRORS as error:
        return LabelSource(path, kind, refusal=Refusal.of_error("unreadable", error).without_name(path.name))
    extent_of = mask_extents(mask, grid)
    values = list(extent_of)
    if len(values) > _MOST_STRUCTURES and not _are_objects(path, values):
        fact = f"a mask must hold at most {_MOST_STRUCTURES} structures, got {len(values)} values"
        remedy = "list it under images in the mapping if it is an image"
        return LabelSource(path, kind, refusal=Refusal("unreadable", fact, remedy))
    own = without_words(scan_stem(path), ROLE_WORDS | shared_words)
    stem = readable(own) if names_structure(own) else ""
    given = segment_names(path) or ({} if stem else value_names)
    if len(values) == 1 and not given:
        names = {values[0]: stem or f"value {values[0]}"}
    else:
        names = {value: given.get(value) or f"{stem} value {value}".strip() for value in values}
    return LabelSource(
        path,
        kind,
        tuple(dict.fromkeys(names.values())),
        values=names,
        grid=grid,
        is_named=any(stem or given.get(value) for value in values),
        has_objects=_are_objects(path, values) and not given and not stem,
        extents=tuple(extent_of[value]._replace(name=names[value]) for value in values)
        if len(names) <= _MANY_VALUES
        else (),
    )


def _has_layers(path: Path) -> bool:
    """Whether a file of 3D Slicer keeps its segments on several layers, in which they may overlap."""
    return any(segment.layer for segment in slicer_segments(path))


def _layered_label(path: Path, kind: str) -> LabelSource:
    """The label of a file with several layers.

    Raises:
        ScanError: If the file is damaged, or a layer that a segment names is missing.
    """
    layers, grid = read_layers(path, case_id="mask")
    segments = slicer_segments(path)
    if any(segment.layer >= len(layers) for segment in segments):
        raise ScanError(
            f"the segments must lie on the file's {len(layers)} layer(s), got others", remedy="export it again"
        )
    extents = [mask_extents(layer, grid) for layer in layers]
    named = {(one.layer, one.value) for one in segments}
    return LabelSource(
        path,
        kind,
        tuple(dict.fromkeys(segment.name for segment in segments)),
        segments=segments,
        grid=grid,
        extents=tuple(
            extents[one.layer][one.value]._replace(name=one.name) for one in segments if one.value in extents[one.layer]
        ),
        notes=tuple(
            f"{round(extent.size / grid.voxel_ml)} voxel(s) of value {value} on layer {number} were left out, since no "
            "segment of their file names them"
            for number, layer in enumerate(extents)
            for value, extent in layer.items()
            if (number, value) not in named
        ),
    )


class ValueNames:
    """Names of label values that the nearest dataset.json above a mask gives, up to the source folder.

    Args:
        root: Source folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[Path, dict[int, str]] = {}

    def near(self, folder: Path) -> dict[int, str]:
        """Name by value; empty where there is no dataset.json."""
        if folder in self._known:
            return self._known[folder]
        names = _names_in(folder)
        if not names and folder != self._root and self._root in folder.parents:
            names = self.near(folder.parent)
        self._known[folder] = names
        return names


def _names_in(folder: Path) -> dict[int, str]:
    if not (folder / "dataset.json").is_file():
        return {}
    try:
        manifest = read_manifest(folder).manifest  # not checked: only its names are used, and warnings would quote it
    except PipelineError:
        return {}
    return {value: name for name, value in manifest.foreground.items()}


def read_mask(path: Path) -> tuple[Labelmap, Geometry]:
    """The label values of a mask file, shape `(I, J, K)`, and its grid.

    Raises:
        ScanError: If the file is damaged, or holds no label values.
        GeometryError: If the affine is no voxel grid.
    """
    if is_picture_file(path):
        scan = read_picture(path, case_id="mask", is_label=True, upright=True)
        return _one_channel(scan.array, is_lossy=path.suffix.lower() in _LOSSY), scan.geometry
    return read_label(path, case_id="mask")


def _are_objects(path: Path, values: list[int]) -> bool:
    """Whether the values of a mask run from 1 to a number beyond any list of structures."""
    most = _MANY_VALUES if is_picture_file(path) else _MOST_STRUCTURES
    return len(values) > most and values == list(range(1, len(values) + 1))


def _one_channel(pixels: Array, *, is_lossy: bool) -> Labelmap:
    """The label values of a picture of shape `(C, I, J, 1)`.

    Raises:
        ScanError: If it holds colours, fractions or negative values, or a lossy format changed its values.
    """
    if not (pixels == pixels[:1]).all():  # grey saved as colour is fine
        raise ScanError("a mask must have one channel, got colours", remedy="save label values as grey")
    mask = pixels[0]
    values = np.unique(mask)
    if is_lossy and len(values) > 2:
        raise ScanError(
            f"a mask must be stored without loss, got a JPEG of {len(values)} values", remedy="save it as PNG"
        )
    whole = np.rint(values)
    if not are_whole(values).all() or whole.min() < 0:
        raise ScanError(
            "a mask must hold whole numbers from 0, got others", remedy="export label values, no probabilities"
        )
    return np.asarray(np.rint(mask).astype(np.min_scalar_type(int(whole.max())), copy=False))
