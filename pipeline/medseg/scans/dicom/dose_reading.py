"""RT Dose in: what a file says of its dose, and the dose itself in Gy on its own grid."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medseg.errors import ScanError
from medseg.records import Scan
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.dose_grid import dose_grid
from medseg.scans.dicom.elements import number, text
from medseg.scans.dicom.pixels import decode

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

DOSE_CLASS = "RT Dose Storage"
_TYPES = ("PHYSICAL", "EFFECTIVE")
_EXPORT_AGAIN = "export it again from the planning system"


@dataclass(frozen=True, slots=True)
class DoseObject:
    """An RT Dose that can be read, by its header.

    Attributes:
        path: The file.
        summation: (3004,000A) Dose Summation Type, such as PLAN or BEAM.
        dose_type: (3004,0004) PHYSICAL, or EFFECTIVE for a dose that is weighted by biological effect.
        frame_of_reference_uid: (0020,0052) of its coordinates.
        sop_uid: (0008,0018).
        plan_uids: Plans that it was calculated for.
        beams: Numbers of the beams that it was calculated for; empty for a whole plan.
        structure_uids: Structure sets that it names.
        description: Description of the series.
        is_predicted: Whether medseg wrote it.
    """

    path: Path = field(repr=False)
    summation: str
    dose_type: str
    frame_of_reference_uid: str = field(repr=False)
    sop_uid: str = field(repr=False)
    plan_uids: frozenset[str] = field(repr=False)
    beams: tuple[int, ...]
    structure_uids: frozenset[str] = field(repr=False)
    description: str
    is_predicted: bool = False


class ReadDose(NamedTuple):
    """A dose in memory.

    Attributes:
        scan: Gy, float32 of shape `(1, I, J, K)`.
        sha256: SHA-256 of the file.
        notes: Clauses about what the file leaves open.
    """

    scan: Scan
    sha256: str
    notes: tuple[str, ...]


def read_dose_object(path: Path) -> DoseObject:
    """Read what an RT Dose says, without its pixels.

    Raises:
        ScanError: If it is damaged, holds no dose in Gy, or no pixels.

    Source: PS3.3 C.8.8.3.
    """
    from pydicom.filereader import dcmread

    with reading_dicom("dose"):
        header = dcmread(path, stop_before_pixels=True, force=True)
        _check(header)
        return DoseObject(
            path=path,
            summation=text(header, "DoseSummationType").upper(),
            dose_type=text(header, "DoseType").upper(),
            frame_of_reference_uid=text(header, "FrameOfReferenceUID"),
            sop_uid=text(header, "SOPInstanceUID"),
            plan_uids=frozenset(_references(header, "ReferencedRTPlanSequence")),
            beams=tuple(_beams(header)),
            structure_uids=frozenset(_references(header, "ReferencedStructureSetSequence")),
            description=text(header, "SeriesDescription"),
            is_predicted=text(header, "Manufacturer") == "medseg",
        )


def read_dose(path: Path) -> ReadDose:
    """Read the dose of an RT Dose on its own grid.

    Raises:
        ScanError: If it is damaged, is no dose in Gy, or holds negative values.
        GeometryError: If its grid is not a straight voxel grid.

    Source: PS3.3 C.8.8.3: Gy are stored values by Dose Grid Scaling (3004,000E).
    """
    from pydicom.filereader import dcmread

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ScanError(f"a file must be readable, got: {error.strerror}", remedy="fix its permissions") from error
    with reading_dicom("dose"):
        dataset = dcmread(BytesIO(content), force=True)
        _check(dataset)
        grid = dose_grid(dataset)
        planes = decode(dataset)[..., 0]  # (F, rows, columns)
        scaling = number(dataset, "DoseGridScaling", 0.0)
    if planes.min(initial=0) < 0:
        raise ScanError("a dose must not be negative, got negative values", remedy=_EXPORT_AGAIN)
    array = np.empty((1, *grid.geometry.shape), np.float32)
    for place, stored in enumerate(grid.order):
        array[0, :, :, place] = planes[stored].T * scaling
    notes = list(grid.notes)
    if text(dataset, "DoseType").upper() == "EFFECTIVE":
        notes.append("the dose is weighted by biological effect (EFFECTIVE)")
    return ReadDose(Scan(array, grid.geometry, None), hashlib.sha256(content).hexdigest(), tuple(notes))


def _check(header: Dataset) -> None:
    """Refuse what is no dose in Gy."""
    if "RT Dose" not in str(getattr(header.get("SOPClassUID"), "name", "")):
        raise ScanError("the file must be an RT Dose, got another object", remedy="give the file of the dose")
    if not (number(header, "Rows", 0) > 0 and number(header, "Columns", 0) > 0):
        raise ScanError(
            "an RT Dose must hold a grid of doses, got dose-volume histograms or points alone",
            remedy="export it with its dose grid",
        )
    units, kind = text(header, "DoseUnits").upper(), text(header, "DoseType").upper()
    if units != "GY":
        got = units if units == "RELATIVE" else "another unit" if units else "none"
        raise ScanError(f"dose units must be GY, got {got}", remedy="export the dose as absolute dose in Gy")
    if kind not in _TYPES:
        got = kind if kind == "ERROR" else "another" if kind else "none"
        raise ScanError(
            f"dose type must be {' or '.join(_TYPES)}, got {got}", remedy="export the dose itself, not its uncertainty"
        )
    if number(header, "DoseGridScaling", 0.0) <= 0:
        raise ScanError("dose grid scaling must be positive, got none or another", remedy=_EXPORT_AGAIN)


def _references(header: Dataset, keyword: str) -> Iterator[str]:
    for item in header.get(keyword) or ():
        if text(item, "ReferencedSOPInstanceUID"):
            yield text(item, "ReferencedSOPInstanceUID")


def _beams(header: Dataset) -> Iterator[int]:
    for plan in header.get("ReferencedRTPlanSequence") or ():
        for group in plan.get("ReferencedFractionGroupSequence") or ():
            for beam in group.get("ReferencedBeamSequence") or ():
                yield int(number(beam, "ReferencedBeamNumber", -1))
