"""`predictions.json` of a folder of quantities, and the file beside each volume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from medseg.atomic import write_json
from medseg.configuration import Config, parse_config
from medseg.errors import ConfigError, DeliveryError
from medseg.inference.case_record import FailureRecord, PassedOverRecord
from medseg.inference.model_identity import ModelIdentity, ModelOrigin
from medseg.inference.record import RECORD_NAME
from medseg.inference.source_record import SourceRecord
from medseg.quantity import Quantity

KIND = "quantities"


class ValueFile(Config):
    """Values of one quantity in one case.

    Attributes:
        file: Path below the folder of the predictions.
        unit: Unit of the values.
        mean: Mean over all voxels.
        low: Smallest value.
        high: Largest value.
        sha256: SHA-256 of the file as it was written.
    """

    file: str
    unit: str
    mean: float
    low: float
    high: float
    sha256: str


class ValueCase(Config):
    """One predicted case.

    Attributes:
        case_id: Id of the case.
        quantities: Values by the name of the quantity.
        in_training: Whether a model was trained on the case.
        seconds: Time of all work on the case.
        source: What the case was read from, with its checksum.
    """

    case_id: str
    quantities: dict[str, ValueFile]
    in_training: bool
    seconds: float
    source: SourceRecord


class ValueSettings(Config):
    """What decides the values beside the scans.

    Attributes:
        weights: SHA-256 of the weights of each network.
        cards: SHA-256 over the cards.
        quantities: Unit and range of each quantity by name.
    """

    weights: tuple[str, ...]
    cards: str
    quantities: dict[str, Quantity]


class ValueRecord(Config):
    """The record of a whole folder of quantities.

    Attributes:
        kind: Tag by which such a folder is known.
        software: Name and version of the software, and what it is not.
        date: Time at which the last prediction into the folder began, in UTC, as ISO 8601 writes it.
        device: Device of that prediction, in words.
        quantities: Unit and range of each quantity by name.
        cases: Predicted cases.
        failures: Cases that failed in that prediction.
        passed_over: Files and series among its inputs that are no case.
        settings: What decides the values beside the scans.
        models: Models that predicted them; the mean of several counts.
    """

    kind: Literal["quantities"] = "quantities"
    software: str
    date: str
    device: str
    quantities: dict[str, Quantity]
    cases: tuple[ValueCase, ...]
    failures: tuple[FailureRecord, ...] = ()
    passed_over: tuple[PassedOverRecord, ...] = ()
    settings: ValueSettings
    models: tuple[ModelIdentity, ...]


class ValueSidecar(ValueFile):
    """`<case_id>.json` beside a volume, which can go alone with it.

    Attributes:
        case_id: Id of the case.
        quantity: Name of the quantity.
        software: Name and version of the software, and what it is not.
        date: Time at which the volume was written, in UTC.
        device: Device that predicted it, in words.
        in_training: Whether a model was trained on the case.
        source: What the case was read from, with its checksum.
        models: Models that predicted it.
    """

    case_id: str
    quantity: str
    software: str
    date: str
    device: str
    in_training: bool
    source: SourceRecord
    models: tuple[ModelOrigin, ...]


def is_quantity_folder(folder: Path) -> bool:
    """Whether a folder holds predicted quantities, as its `predictions.json` says."""
    try:
        content = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def save_value_record(record: ValueRecord, folder: Path) -> None:
    """Write `predictions.json`."""
    write_json(folder / RECORD_NAME, record.model_dump(mode="json"))


def load_value_record(folder: Path) -> ValueRecord | None:
    """Read `predictions.json`; None if there is none, as in a folder of volumes from elsewhere.

    Raises:
        DeliveryError: If it is damaged, of masks, or names a file outside of the folder.
    """
    path = folder / RECORD_NAME
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _check_quantities(content)
        record = parse_config(ValueRecord, content, source=path.name)
        for case in record.cases:
            for one in case.quantities.values():
                if Path(one.file).is_absolute() or ".." in Path(one.file).parts:
                    raise ConfigError(f"files must lie in the folder, got {one.file!r}")
    except (OSError, ValueError, RecursionError, ConfigError) as error:
        fact = f"predictions: {RECORD_NAME} must be as predict wrote it for quantities, got: {error}"
        raise DeliveryError(fact, remedy="predict again, into another folder") from error
    return record


def _check_quantities(content: object) -> None:
    """Refuse a record of masks, which names no kind."""
    if isinstance(content, dict) and "kind" not in content and "cases" in content:
        raise DeliveryError(
            f"{RECORD_NAME} must be of predicted quantities, got one of masks",
            remedy="give a folder of quantities, or predict into another folder",
        )
