"""Write the channels of a case."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.ingest.case_build import CaseBuild
from medseg.ingest.copies import voxel_digest
from medseg.ingest.image_source import ImageSource
from medseg.ingest.scan_notes import ScanNotes
from medseg.origin import Origin, PictureOrigin
from medseg.records import Array, Scan
from medseg.scans import covered_fraction, read_picture, read_scan, regrid, write_picture, write_scan
from medseg.scans.dicom import read_series, suv_factor

_MOST_COVERED = 0.9


class BuiltImage(NamedTuple):
    """What was written.

    Attributes:
        images: Paths relative to the dataset.
        sha256: Checksum of each.
        source_sha256: Of each channel's source: SHA-256 over its files' sorted SHA-256 lines.
        voxels_sha256: Of each channel's voxels turned to RAS, by which exports of one series know each other.
        channels: Number of channels.
        notes: What was done and what a person should know.
    """

    images: tuple[str, ...]
    sha256: dict[str, str]
    source_sha256: tuple[str, ...]
    voxels_sha256: tuple[str, ...]
    channels: int
    notes: tuple[str, ...]


def build_image(plan: CaseBuild, out: Path, *, repair: frozenset[str], suv: bool, said: ScanNotes) -> BuiltImage:
    """Read, bring onto the reference grid and write every channel.

    Args:
        plan: The case.
        out: The dataset.
        repair: What is repaired instead of refused.
        suv: Whether PET becomes SUV.
        said: What the readers warn of.

    Raises:
        ScanError: If a file is damaged.
        GeometryError: If channels lie in different frames of reference or hardly overlap.
    """
    notes: list[str] = []
    paths: list[str] = []
    sources: list[str] = []
    voxels: list[str] = []
    channels = 0
    for number, image in enumerate(plan.images):
        said.forget()
        scan, source, told = _read(image, plan.case_id, repair=repair, suv=suv)
        notes += [*image.notes, *told, *said.take(image.files[0], plan.case_id)]
        array = scan.array
        if image is not plan.reference:
            array, how = _onto_reference(scan, image, plan)
            notes.append(how)
        suffix = f"_{number:04d}" if len(plan.images) > 1 else ""
        grid = _grid(plan.reference) if len(plan.images) > 1 else scan.geometry
        paths.append(_write(array, grid, scan.origin, out, plan.case_id + suffix))
        sources.append(source)
        voxels.append(voxel_digest(array, grid))
        channels += array.shape[0]
    sums = {path: hashlib.sha256((out / path).read_bytes()).hexdigest() for path in paths}
    return BuiltImage(tuple(paths), sums, tuple(sources), tuple(voxels), channels, tuple(notes))


def _read(image: ImageSource, case_id: str, *, repair: frozenset[str], suv: bool) -> tuple[Scan, str, tuple[str, ...]]:
    if image.found is not None:
        scan, source, notes = read_series(image.found, repair=repair)
        if suv and image.modality == "PT":
            factor = suv_factor(image.found)
            scan = replace(scan, array=(scan.array.astype(np.float64) * factor).astype(np.float32))
            notes = (*notes, f"activity was multiplied by {factor:.6g} to give SUV by body weight")
        return scan, source, notes
    path = image.files[0]
    digest = _digest(image.files)
    try:
        if image.is_picture:
            return read_picture(path, case_id=case_id, is_label=False, upright=True), digest, ()
        scan = read_scan(path, case_id=case_id)
    except (ScanError, GeometryError) as error:
        raise type(error)(str(error).replace(path.name, "…")) from error
    return replace(scan, array=_whole_numbers(scan.array)), digest, ()


def _digest(files: Sequence[Path]) -> str:
    """SHA-256 of a file; of several, as of a header and its voxels, over their sorted SHA-256 lines."""
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return (
        sums[0] if len(sums) == 1 else hashlib.sha256("".join(f"{one}\n" for one in sorted(sums)).encode()).hexdigest()
    )


def _whole_numbers(array: Array) -> Array:
    """Integers where a file's float32 values are whole and fit 16 bits, as CT's do: half of the bytes."""
    if array.dtype.kind == "f" and (np.rint(array) == array).all() and np.abs(array).max(initial=0) <= 32767:
        return array.astype(np.int16)
    return array


def _onto_reference(scan: Scan, image: ImageSource, plan: CaseBuild) -> tuple[Array, str]:
    """A channel on the grid of the reference, and how it came there."""
    reference = plan.reference
    name = image.modality or "channel"
    if image.frame_of_reference_uid != reference.frame_of_reference_uid:
        raise GeometryError(
            f"channels must share a frame of reference, got another for {name}; register it to the reference first"
        )
    grid = _grid(reference)
    if scan.geometry.is_close(grid):
        return scan.array, f"{name} lies on the grid of the reference"
    covered = covered_fraction(grid, scan.geometry)
    if covered == 0:
        raise GeometryError(f"{name} must overlap the reference, got no common place; choose another reference")
    values = scan.array.astype(np.float32)
    moved = regrid(replace(scan, array=values), grid, order="linear")
    little = "only " if covered < _MOST_COVERED else ""
    return moved, f"{name} was resampled (linear) onto the reference, of which it covers {little}{covered:.0%}"


def _write(array: Array, grid: Geometry, origin: Origin | None, out: Path, name: str) -> str:
    if isinstance(origin, PictureOrigin) and array.min() >= 0 and array.max() <= 255 and array.shape[0] in (1, 3):
        relative = f"images/{name}.png"
        write_picture(array.astype(np.uint8), out / relative)
        return relative
    relative = f"images/{name}.nii.gz"
    write_scan(array, grid, out / relative)
    return relative


def _grid(image: ImageSource) -> Geometry:
    if image.grid is None:
        raise ScanError(image.refusal or "the image has no grid")
    return image.grid
