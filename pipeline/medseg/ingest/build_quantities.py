"""Bring the quantities of a case onto its grid and write them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from medseg.disclosure import RiskKind, seen_risks
from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.ingest.build_image import as_suv
from medseg.ingest.case_build import CaseBuild
from medseg.ingest.case_record import QuantityRecord
from medseg.ingest.context import IngestContext
from medseg.ingest.image_source import ImageSource
from medseg.ingest.quantity_source import QuantitySource
from medseg.records import Array, Scan
from medseg.scans import covered_fraction, regrid, write_scan
from medseg.scans.dicom import read_dose, read_series

_SUV = "SUV"


def build_quantities(build: CaseBuild, context: IngestContext) -> QuantityRecord:
    """Read every quantity of a case, resample it onto the grid of the reference and write it as float32.

    Args:
        build: Case with its quantities.
        context: Settings and state that all cases share.

    Raises:
        ScanError: If a file is damaged, or holds no dose in Gy.
        GeometryError: If a series lies in another frame of reference, or a quantity nowhere in the reference.
    """
    grid = build.reference.known_grid()
    files: dict[str, str] = {}
    sums: dict[str, str] = {}
    sources: dict[str, str] = {}
    notes: list[str] = []
    risks: dict[str, tuple[RiskKind, ...]] = {}
    for source in build.quantities:
        context.notes.forget()
        values, digest, own = _dose(source, grid) if source.doses else _series(source, build, context)
        found = context.notes.take(source.files[0], build.case_id)
        relative = f"quantities/{source.name}/{build.case_id}.nii.gz"
        write_scan(values[np.newaxis], grid, context.out / relative)
        files[source.name] = relative
        sums[relative] = hashlib.sha256((context.out / relative).read_bytes()).hexdigest()
        sources[source.name] = context.names.seal(digest)
        notes += [f"{source.name}: {note}" for note in (*own, *found, *_unknown(values, source))]
        if source.image is not None:
            shown = np.nan_to_num(values[np.newaxis], nan=float(np.nanmin(values)))
            risks[source.name] = seen_risks(shown, grid, is_picture=False, modality=source.image.modality or None)
    return QuantityRecord(files=files, sha256=sums, source_sha256=sources, notes=tuple(notes), risks=risks)


def _dose(source: QuantitySource, grid: Geometry) -> tuple[Array, str, tuple[str, ...]]:
    """Gy on the grid of the reference: of a plan, or the sum of its beams."""
    total: Array = np.zeros(grid.shape, np.float32)
    notes: list[str] = []
    sums = []
    kinds = {one.dose.dose_type for one in source.doses if one.dose is not None}
    if len(kinds) > 1:
        raise ScanError(
            "doses that are summed must be of one dose type, got PHYSICAL and EFFECTIVE", remedy="export them alike"
        )
    for one in source.doses:
        read = read_dose(one.path)
        total = total + _on_grid(read.scan, grid, source)
        sums.append(read.sha256)
        notes += read.notes
    what = "RTDOSE matched by frame of reference"
    summed = (f"the doses of {len(sums)} beams were summed",) if len(sums) > 1 or source.doses[0].is_beam else ()
    return total, "".join(sorted(sums)), (what, *dict.fromkeys(notes), *summed)


def _series(source: QuantitySource, build: CaseBuild, context: IngestContext) -> tuple[Array, str, tuple[str, ...]]:
    """The values of an image series on the grid of the reference; PET as SUV where that is its unit."""
    image = _image(source)
    if image.frame_of_reference_uid != build.reference.frame_of_reference_uid:
        raise GeometryError(
            f"quantity {source.name} must share the frame of reference of its case, got another",
            remedy="register it to the reference first",
        )
    read = read_series(image.known_series(), repair=context.options.repair)
    if source.rule.unit == _SUV and image.modality == "PT":
        read = as_suv(read, image.known_series())
    scan = replace(read.scan, array=read.scan.array.astype(np.float32))
    if len(scan.array) != 1:
        raise ScanError(f"quantity {source.name} must have one value per voxel, got colours", remedy="leave it out")
    return _on_grid(scan, build.reference.known_grid(), source), read.sha256, (*image.notes, *read.notes)


def _image(source: QuantitySource) -> ImageSource:
    if source.image is None:
        raise ScanError(f"quantity {source.name} has no source")
    return source.image


def _on_grid(scan: Scan, grid: Geometry, source: QuantitySource) -> Array:
    """Values on a grid by linear interpolation; outside of their own grid they are not known, or 0 if so wanted."""
    if scan.geometry.is_close(grid):
        return np.asarray(scan.array[0])
    if covered_fraction(grid, scan.geometry) == 0:
        raise GeometryError(
            f"quantity {source.name} must overlap the reference, got no common place", remedy="ingest it apart"
        )
    outside = 0.0 if source.rule.outside == "zero" else float("nan")
    return np.asarray(regrid(scan, grid, order="linear", outside=outside)[0])


def _unknown(values: Array, source: QuantitySource) -> tuple[str, ...]:
    """A note on the voxels that the source does not reach."""
    share = float(np.isnan(values).mean())
    if not share:
        return ()
    return (f"{share:.1%} of the reference lies outside of it; there it is not known, and counts nowhere",)
