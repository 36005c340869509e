"""Write the channels of a case."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medseg.disclosure import RiskKind, seen_risks
from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.ingest.case_build import CaseBuild
from medseg.ingest.case_record import ImageRecord
from medseg.ingest.context import IngestContext
from medseg.ingest.copies import voxel_digest
from medseg.ingest.image_source import ImageSource
from medseg.origin import Origin, PictureOrigin
from medseg.records import Array, Scan
from medseg.scans import covered_fraction, read_picture, read_scan, regrid, write_picture, write_scan
from medseg.scans.dicom import FoundSeries, SeriesScan, read_series, suv_factor

_MOST_COVERED = 0.9


@dataclass(frozen=True, slots=True)
class _Channel:
    """One channel file, as it was written."""

    path: str
    source_sha256: str
    voxels_sha256: str
    channels: int
    notes: tuple[str, ...]
    risks: tuple[RiskKind, ...]


def build_image(build: CaseBuild, context: IngestContext) -> ImageRecord:
    """Read, bring onto the reference grid and write every channel.

    Args:
        build: Images of the case.
        context: Settings and state that all cases share.

    Raises:
        ScanError: If a file is damaged.
        GeometryError: If channels lie in different frames of reference or hardly overlap.
    """
    written = [_build_channel(image, build, number, context) for number, image in enumerate(build.images)]
    paths = [channel.path for channel in written]
    return ImageRecord(
        images=tuple(paths),
        sha256={path: hashlib.sha256((context.out / path).read_bytes()).hexdigest() for path in paths},
        source_sha256=tuple(channel.source_sha256 for channel in written),
        voxels_sha256=tuple(channel.voxels_sha256 for channel in written),
        channels=sum(channel.channels for channel in written),
        notes=tuple(note for channel in written for note in channel.notes),
        risks=tuple(channel.risks for channel in written),
    )


def _build_channel(image: ImageSource, build: CaseBuild, number: int, context: IngestContext) -> _Channel:
    context.notes.forget()
    scan, source, done = _read(image, build.case_id, context, number)
    notes = [*image.notes, *done, *context.notes.take(image.files[0], build.case_id)]
    array, grid, name = scan.array, scan.geometry, build.case_id
    risks = seen_risks(array, grid, is_picture=image.is_picture, modality=image.modality or None)
    if image is not build.reference:
        array, how = onto_reference(scan, image, build.reference)
        notes.append(how)
    if len(build.images) > 1 or context.mapping.structures:
        grid, name = build.reference.known_grid(), f"{build.case_id}_{number:04d}"
    path = _write(array, grid, scan.origin, context.out, name)
    return _Channel(path, context.names.seal(source), voxel_digest(array, grid), array.shape[0], tuple(notes), risks)


def _read(image: ImageSource, case_id: str, context: IngestContext, channel: int) -> SeriesScan:
    """The voxels of an image as they are stored, or PET as SUV if requested, or if its channel is named for it."""
    if image.found is not None:
        read = read_series(image.found, repair=context.options.repair)
        return _suv(read, image.found, context) if context.is_suv(channel) and image.modality == "PT" else read
    path = image.files[0]
    digest = _digest(image.files)
    try:
        if image.is_picture:
            return SeriesScan(read_picture(path, case_id=case_id, is_label=False, upright=True), digest, ())
        scan = read_scan(path, case_id=case_id)
    except (ScanError, GeometryError) as error:
        raise _without_name(error, path.name) from error
    return SeriesScan(replace(scan, array=_whole_numbers(scan.array)), digest, ())


def _without_name(error: ScanError | GeometryError, name: str) -> ScanError | GeometryError:
    """An error without the name of its file, which may be a patient's."""
    fact, remedy = (part.replace(name, "…") for part in (error.fact, error.remedy))
    return type(error)(fact, remedy=remedy, case_id=error.case_id)


def _suv(read: SeriesScan, found: FoundSeries, context: IngestContext) -> SeriesScan:
    try:
        return as_suv(read, found)
    except ScanError as error:
        if context.options.suv:
            raise
        raise ScanError(
            f"PET in a channel that is named for SUV becomes SUV: {error.fact}",
            remedy="give the channel another name in the mapping, in which PET stays as it is stored",
        ) from error


def as_suv(read: SeriesScan, found: FoundSeries) -> SeriesScan:
    """PET as SUV by body weight, with a note on its factor."""
    factor = suv_factor(found)
    values = (read.scan.array.astype(np.float64) * factor).astype(np.float32)
    note = f"activity was multiplied by {factor:.6g} to give SUV by body weight"
    return SeriesScan(replace(read.scan, array=values), read.sha256, (*read.notes, note))


def _digest(files: Sequence[Path]) -> str:
    """SHA-256 of a file; for several, such as a header and its voxels, over their sorted SHA-256 lines."""
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return (
        sums[0] if len(sums) == 1 else hashlib.sha256("".join(f"{one}\n" for one in sorted(sums)).encode()).hexdigest()
    )


def _whole_numbers(array: Array) -> Array:
    """Integers where the float32 values are whole and fit 16 bits, as those of CT do: half of the bytes."""
    if array.dtype.kind == "f" and (np.rint(array) == array).all() and np.abs(array).max(initial=0) <= 32767:
        return array.astype(np.int16)
    return array


def onto_reference(scan: Scan, image: ImageSource, reference: ImageSource) -> tuple[Array, str]:
    """A channel on the grid of the reference, and a note on how it was brought there.

    Raises:
        GeometryError: If the two lie in different frames of reference, or nowhere in one place.
    """
    name = image.modality or "channel"
    if image.frame_of_reference_uid != reference.frame_of_reference_uid:
        raise GeometryError(
            f"channels must share a frame of reference, got another for {name}",
            remedy="register it to the reference first",
        )
    grid = reference.known_grid()
    if scan.geometry.is_close(grid):
        return scan.array, f"{name} lies on the grid of the reference"
    covered = covered_fraction(grid, scan.geometry)
    if covered == 0:
        raise GeometryError(
            f"{name} must overlap the reference, got no common place",
            remedy="choose another reference, or take the channel out of the mapping",
        )
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
