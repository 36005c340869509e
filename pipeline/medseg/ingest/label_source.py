"""One label of a source: a SEG, an RTSTRUCT or a mask file, and how it is drawn on an image's grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medseg.cohort import CASE_ERRORS
from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.ingest.image_source import ImageSource, dicom_patient
from medseg.records import Array, Labelmap, Scan, reason_of
from medseg.scans import is_picture_file, read_label, read_picture, regrid, scan_stem, segment_names
from medseg.scans.dicom import Drawn, Instance, LabelObject, draw_label_object, read_label_object

OFF_GRID_AFTER_REPAIR = 0.5
OBJECT = "object"
_MANY_VALUES = 64
_LOSSY = (".jpg", ".jpeg")


@dataclass(frozen=True, slots=True, eq=False)
class LabelSource:
    """What was found to hold labels.

    Attributes:
        path: The file.
        kind: What it is, in words.
        names: Structures as the source calls them, in stored order.
        time: Of a DICOM object, to tell the latest.
        label_object: A SEG or RTSTRUCT.
        values: Of a mask file: the name of each value.
        grid: Of a mask file.
        has_objects: Whether a mask file numbers single objects instead of structures.
        refusal: Why it cannot be read; "" if it can.
        patient: Whom a DICOM object names; never written.
    """

    path: Path
    kind: str
    names: tuple[str, ...] = ()
    time: str = ""
    label_object: LabelObject | None = None
    values: dict[int, str] | None = None
    grid: Geometry | None = None
    has_objects: bool = False
    refusal: str = ""
    patient: str = ""

    def renamed(self, change: Callable[[str], str]) -> LabelSource:
        """The same with other names for its structures."""
        values = {value: change(name) for value, name in self.values.items()} if self.values is not None else None
        return replace(self, names=tuple(dict.fromkeys(map(change, self.names))), values=values)


def object_label(instance: Instance) -> LabelSource:
    """A DICOM label object, or why it cannot be read."""
    try:
        found = read_label_object(instance.path)
    except CASE_ERRORS as error:
        return LabelSource(instance.path, instance.modality or "label object", refusal=reason_of(error))
    patient = dicom_patient(instance)
    refusal = "" if found.names else f"a {found.kind} must hold a structure, got none; export it again"
    return LabelSource(
        instance.path, found.kind, found.names, instance.series_time, found, refusal=refusal, patient=patient
    )


def mask_label(path: Path, *, shared_words: frozenset[str], value_names: dict[int, str]) -> LabelSource:
    """A mask file, or why it cannot be read.

    Args:
        path: The file.
        shared_words: Words of its name that its image's name holds too, which name no structure.
        value_names: Names of values, as a dataset.json beside it gives.
    """
    from medseg.ingest.name_tokens import name_tokens
    from medseg.ingest.structure_name import normalised

    try:
        mask, grid = _read_mask(path)
    except CASE_ERRORS as error:
        reason = reason_of(error).replace(path.name, "…").removeprefix("case mask: ")
        return LabelSource(path, "mask", refusal=reason)
    values = [int(value) for value in np.unique(mask) if value]
    keep = name_tokens(scan_stem(path)) - shared_words
    words = [word for word in normalised(scan_stem(path)).split("_") if word in keep]
    stem = " ".join(words) if any(not word.isdigit() for word in words) else ""
    told = segment_names(path) or ({} if stem else value_names)
    many = _are_objects(path, values) and not told and not stem
    if len(values) == 1 and not told:
        names = {values[0]: stem or f"value {values[0]}"}
    else:
        names = {value: told.get(value) or f"{stem} value {value}".strip() for value in values}
    return LabelSource(path, "mask", tuple(dict.fromkeys(names.values())), "", None, names, grid, many)


def as_objects(label: LabelSource) -> LabelSource:
    """A mask whose values number objects, as those of its neighbours do: all of them are one structure."""
    if label.values is None or label.label_object is not None:
        return label
    if any(name != f"value {value}" for value, name in label.values.items()):
        return label
    return replace(label, names=(OBJECT,), values=dict.fromkeys(label.values, OBJECT), has_objects=True)


def _are_objects(path: Path, values: list[int]) -> bool:
    """Whether a picture's values run from 1 to more than any list of structures has."""
    return is_picture_file(path) and len(values) > _MANY_VALUES and values == list(range(1, len(values) + 1))


def draw_label(
    label: LabelSource, grid: Geometry, *, is_moved: bool = False, may_regrid: bool = False, is_picture: bool = False
) -> Iterator[Drawn]:
    """Draw each structure on an image's grid.

    Args:
        label: What to draw.
        grid: The image's.
        is_moved: Whether a repair moved the image's slices, so that stored planes lie off its voxels.
        may_regrid: Whether a label on another grid is resampled (nearest) instead of refused.
        is_picture: Whether the image is a picture, so that a mask picture of its size lies on it pixel by pixel.

    Raises:
        GeometryError: If it lies on another grid.
        ScanError: If it is damaged.
    """
    if label.label_object is not None:
        tolerance = OFF_GRID_AFTER_REPAIR if is_moved or may_regrid else 0.1
        yield from draw_label_object(label.label_object, grid, tolerance=tolerance)
        return
    mask, own = _read_mask(label.path)
    own = _placed(label, own, grid, is_picture=is_picture)
    placed = on_grid(mask, own, grid, may_regrid=may_regrid)
    notes = () if own.is_close(grid) or placed is mask else (_how(own, grid),)
    for number, name in enumerate(label.names):
        members = [value for value, called in (label.values or {}).items() if called == name]
        yield Drawn(name, np.isin(placed, members), notes if number == 0 else ())


def read_instances(label: LabelSource, grid: Geometry, *, may_regrid: bool, is_picture: bool = False) -> Labelmap:
    """A mask file whose values number single objects, on an image's grid."""
    mask, own = _read_mask(label.path)
    return on_grid(mask, _placed(label, own, grid, is_picture=is_picture), grid, may_regrid=may_regrid)


def lies_on(label: LabelSource, image: ImageSource) -> bool:
    """Whether a mask file lies on the grid of an image, its axes turned or not."""
    if label.grid is None or image.grid is None:
        return False
    if image.is_picture and is_picture_file(label.path):
        return label.grid.shape == image.grid.shape
    return label.grid.reoriented(image.grid.axcodes).is_close(image.grid)


def _placed(label: LabelSource, own: Geometry, grid: Geometry, *, is_picture: bool) -> Geometry:
    """Where a mask lies: pictures have no place but that of the picture that they were drawn on.

    Raises:
        GeometryError: If a mask picture has another size than its image, which nothing can mend.
    """
    if not is_picture_file(label.path):
        return own
    if not is_picture or own.shape != grid.shape:
        raise GeometryError(
            f"a mask picture must have its image's size {grid.shape[:2]}, got {own.shape[:2]}; export it again"
        )
    return grid


def on_grid(mask: Labelmap, own: Geometry, grid: Geometry, *, may_regrid: bool) -> Labelmap:
    """A mask on an image's grid: as it is, with axes flipped or swapped, or resampled if that is allowed.

    Raises:
        GeometryError: If the grids differ otherwise and it is not.
    """
    if own.is_close(grid):
        return mask
    turned = own.reoriented(grid.axcodes)
    if turned.is_close(grid):
        order = [found.source_axis for found in turned.axis_maps(own)]
        flips = tuple(slice(None, None, -1 if found.scale < 0 else 1) for found in turned.axis_maps(own))
        return np.ascontiguousarray(mask.transpose(order)[flips])
    if not may_regrid:
        raise GeometryError(
            f"label must lie on the grid of its image, got {own.difference(grid)}; ingest with --repair grids to "
            "resample it (nearest), or export it again"
        )
    return np.asarray(regrid(Scan(mask[np.newaxis], own), grid, order="nearest")[0])


def _how(own: Geometry, grid: Geometry) -> str:
    if own.reoriented(grid.axcodes).is_close(grid):
        return f"its axes were turned from {own.axcodes} to the image's {grid.axcodes}"
    return "it was resampled (nearest) onto the image's grid"


def _read_mask(path: Path) -> tuple[Labelmap, Geometry]:
    if is_picture_file(path):
        scan = read_picture(path, case_id="mask", is_label=True, upright=True)
        return _one_channel(scan.array, is_lossy=path.suffix.lower() in _LOSSY), scan.geometry
    return read_label(path, case_id="mask")


def _one_channel(pixels: Array, *, is_lossy: bool) -> Labelmap:
    """The label values of a picture of shape `(C, I, J, 1)`.

    Raises:
        ScanError: If it holds colours, fractions, negative values or what a lossy format made of labels.
    """
    if not (pixels == pixels[:1]).all():  # grey saved as colour is fine
        raise ScanError("a mask must have one channel, got colours; save label values as grey")
    mask = pixels[0]
    values = np.unique(mask)
    if is_lossy and len(values) > 2:
        raise ScanError(f"a mask must be stored without loss, got a JPEG of {len(values)} values; save it as PNG")
    if not np.isfinite(values).all() or (values != np.rint(values)).any() or values.min() < 0:
        raise ScanError("a mask must hold whole numbers from 0, got others; export label values, no probabilities")
    return np.asarray(mask.astype(np.min_scalar_type(int(values.max())), copy=False))
