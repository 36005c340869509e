"""The predicted quantities of one case delivered: NIfTI, and a dose as RT Dose in the study of its scan."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.atomic import replacing_folder, write_json
from medseg.configuration import Config
from medseg.delivery.algorithm import algorithm_of
from medseg.errors import DeliveryError, GeometryError
from medseg.inference.inputs.find_source import SourcePlaces, find_source
from medseg.inference.inputs.series_of_scan import series_of_scan
from medseg.inference.mask_folder import file_sha256
from medseg.inference.record import SOFTWARE
from medseg.inference.regression.record import ValueCase, ValueFile, ValueRecord
from medseg.manifest.case_names import is_safe_name
from medseg.origin import SeriesOrigin
from medseg.records import Scan
from medseg.scans import read_quantity
from medseg.scans.dicom import FoundSeries, check_rtdose, write_rtdose

VALUE_FORMS = ("nifti", "rtdose")
CASE_RECORD = "delivered.json"
_DOSE_UNIT = "Gy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueDelivery:
    """What all cases of a delivery share.

    Attributes:
        folder: Folder of the predictions.
        record: Its `predictions.json`.
        out: Target folder.
        forms: Names in `VALUE_FORMS`; NIfTI, and RT Dose of doses on DICOM series, if not given.
        places: Where the scans are looked for.
        series: DICOM series among which the one of a scan is found that was predicted from another file.
    """

    folder: Path
    record: ValueRecord
    out: Path
    forms: tuple[str, ...] | None
    places: SourcePlaces
    series: tuple[FoundSeries, ...]


class DeliveredFile(Config):
    """One file of a delivery.

    Attributes:
        file: Name of the file.
        sha256: Its checksum.
        quantity: Name of the quantity.
        unit: Unit of its values.
        read_by: Libraries that read it back and found the values at their places.
        notes: What was changed.
    """

    file: str
    sha256: str
    quantity: str
    unit: str
    read_by: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class DeliveredValues(Config):
    """`delivered.json` of a case.

    Attributes:
        case_id: Id of the case.
        software: Name and version of the software, and what it is not.
        in_training: Whether a model was trained on the case.
        files: Files of the case.
    """

    case_id: str
    software: str
    in_training: bool
    files: tuple[DeliveredFile, ...]

    @property
    def with_identity(self) -> bool:
        """Whether a file holds the identity of the patient, which archives file it by."""
        return any(one.file.endswith(".dcm") for one in self.files)


def deliver_values(case: ValueCase, delivery: ValueDelivery) -> DeliveredValues:
    """Write and read back the files of a case in a folder of its own, whole or not at all.

    Args:
        case: Record of the case.
        delivery: What all cases share.

    Raises:
        DeliveryError: If a volume has changed, a form does not fit the case, the folder of the case holds something
            else, or a file does not hold what it should.
        ScanError: If the scan is not found or has changed.
        GeometryError: If volume and scan lie on different grids.
    """
    if not is_safe_name(case.case_id):
        raise DeliveryError(
            "id of the case must be usable as the name of a folder, got another", remedy="predict the case again"
        )
    target = delivery.out / case.case_id
    if target.exists() and not (target / CASE_RECORD).is_file():
        raise DeliveryError(
            f"folder {target.name}: must hold what an earlier delivery wrote, got something else",
            remedy="move it away, or deliver into another folder",
            case_id=case.case_id,
        )
    scan = _scan(case, delivery)
    with replacing_folder(delivery.out) as (temporary, move):
        files: list[DeliveredFile] = []
        for name, value in case.quantities.items():
            for form in _forms(value, scan, delivery.forms, case_id=case.case_id):
                files.append(_write(form, name, value, scan, temporary, case, delivery))
        record = DeliveredValues(
            case_id=case.case_id, software=SOFTWARE, in_training=case.in_training, files=tuple(files)
        )
        write_json(temporary / CASE_RECORD, record.model_dump(mode="json"))
        move(target)
    return record


def _scan(case: ValueCase, delivery: ValueDelivery) -> Scan:
    """The scan of a case, as its DICOM series holds it where that is known."""
    scan = find_source(case, delivery.places)
    is_asked = delivery.forms is not None and "rtdose" in delivery.forms
    if isinstance(scan.origin, SeriesOrigin) or not (delivery.series or is_asked):
        return scan
    return series_of_scan(scan, delivery.series, case_id=case.case_id)


def _forms(value: ValueFile, scan: Scan, asked: Sequence[str] | None, *, case_id: str) -> tuple[str, ...]:
    """Forms of a quantity; only a dose in Gy has that of a dose."""
    is_dose = value.unit == _DOSE_UNIT
    if asked is None:
        return VALUE_FORMS if is_dose and isinstance(scan.origin, SeriesOrigin) else VALUE_FORMS[:1]
    if "rtdose" in asked and not is_dose:
        raise DeliveryError(
            f"RT Dose: the quantity must be in Gy, got {value.unit}", remedy="leave the form out", case_id=case_id
        )
    return tuple(form for form in VALUE_FORMS if form in asked)


def _write(
    form: str, name: str, value: ValueFile, scan: Scan, folder: Path, case: ValueCase, delivery: ValueDelivery
) -> DeliveredFile:
    source = delivery.folder / value.file
    if file_sha256(source) != value.sha256:
        raise DeliveryError(
            f"volume {value.file} must be as it was predicted, got none or another",
            remedy="predict again, which makes what is missing or changed",
            case_id=case.case_id,
        )
    if form == "nifti":
        path = folder / f"{case.case_id}.{name}.nii.gz"
        shutil.copyfile(source, path)
        return _record(path, name, value)
    path = folder / f"{case.case_id}.{name}.rtdose.dcm"
    values, grid = read_quantity(source, case_id=case.case_id)
    if not scan.geometry.is_close(grid):
        raise GeometryError(
            f"the volume must lie on the grid of its scan, got {grid.difference(scan.geometry)}",
            remedy="predict the case again",
            case_id=case.case_id,
        )
    notes = write_rtdose(values, scan, path, algorithm=algorithm_of(delivery.record.models))
    read_by = check_rtdose(path, np.maximum(values, 0), scan.geometry)
    return _record(path, name, value, read_by=read_by, notes=notes)


def _record(
    path: Path, name: str, value: ValueFile, *, read_by: tuple[str, ...] = (), notes: tuple[str, ...] = ()
) -> DeliveredFile:
    return DeliveredFile(
        file=path.name,
        sha256=file_sha256(path) or "",
        quantity=name,
        unit=value.unit,
        read_by=read_by,
        notes=notes,
    )
