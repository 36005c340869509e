"""The volumes of a case's quantities in a folder of predictions, each with a file that describes it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

from medseg.atomic import write_json
from medseg.inference.mask_folder import file_sha256
from medseg.inference.record import SOFTWARE
from medseg.inference.regression.predictor import ValueModel
from medseg.inference.regression.record import ValueCase, ValueFile, ValueSidecar
from medseg.inference.segmentation.case_stages import utc_now
from medseg.inference.source_record import SourceRecord
from medseg.records import Array, Scan
from medseg.scans import QUANTITY_SUFFIX, write_quantity

_log = logging.getLogger(__name__)


def write_value_files(
    values: Array,
    scan: Scan,
    folder: Path,
    *,
    case_id: str,
    model: ValueModel,
    source: SourceRecord,
    device: str,
    seconds: Callable[[], float],
) -> ValueCase:
    """Write the volume of every quantity of a case, then the sidecars.

    A file that is still there is none that an earlier prediction has a record of, and is set aside under another name.

    Args:
        values: float32 `(Q, I, J, K)` in units, in the order of the model's quantities.
        scan: Source scan.
        folder: Folder of the predictions.
        case_id: Id of the case.
        model: Model that predicted the values.
        source: What the scan was read from.
        device: Device that predicted the values, in words.
        seconds: Function that gives the time of the work on the case so far.

    Raises:
        DeliveryError: If values are not finite, or a file cannot be written.
    """
    in_training = case_id in model.seen_cases
    files: dict[str, ValueFile] = {}
    for of_one, (name, unit) in zip(values, model.target.units.items(), strict=True):
        _make_room(folder, name, case_id)
        path = write_quantity(of_one, scan, folder / name, case_id=case_id, quantity=name, unit=unit)
        files[name] = ValueFile(
            file=path.relative_to(folder).as_posix(),
            unit=unit,
            mean=float(of_one.mean(dtype="float64")),
            low=float(of_one.min()),
            high=float(of_one.max()),
            sha256=file_sha256(path) or "",
        )
    for name, file in files.items():
        sidecar = ValueSidecar(
            **file.model_dump(exclude={"file"}),
            file=Path(file.file).name,
            case_id=case_id,
            quantity=name,
            software=SOFTWARE,
            date=utc_now(),
            device=device,
            in_training=in_training,
            source=source,
            models=tuple(identity.origin for identity in model.identities),
        )
        write_json(folder / name / f"{case_id}.json", sidecar.model_dump(mode="json"))
    return ValueCase(case_id=case_id, quantities=files, in_training=in_training, seconds=seconds(), source=source)


def is_as_written(folder: Path, file: ValueFile) -> bool:
    """Whether a volume is there as it was written."""
    return file_sha256(folder / file.file) == file.sha256


def discard_value_files(folder: Path, case: ValueCase) -> None:
    """Remove what was predicted of a case before; a volume that was changed since stays."""
    for file in case.quantities.values():
        path = folder / file.file
        path.with_name(f"{case.case_id}.json").unlink(missing_ok=True)
        if is_as_written(folder, file):
            path.unlink()


def _make_room(folder: Path, name: str, case_id: str) -> None:
    """Set aside a volume that is there."""
    path = folder / name / f"{case_id}{QUANTITY_SUFFIX}"
    if not os.path.lexists(path):
        return
    names = (f"{case_id}.set_aside{'' if n == 1 else f'_{n}'}{QUANTITY_SUFFIX}" for n in count(1))
    target = next(path.with_name(one) for one in names if not os.path.lexists(path.with_name(one)))
    path.rename(target)
    text = "case %s: the %s that was there is not as it was predicted; it is kept as %s"
    _log.warning(text, case_id, name, target.name)
