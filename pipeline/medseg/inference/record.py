"""`predictions.json`: the record of a folder of masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from medseg.atomic import write_json
from medseg.configuration import Config, parse_config
from medseg.errors import ConfigError, DeliveryError
from medseg.inference.case_record import CaseRecord, FailureRecord, GateRecord, PassedOverRecord, QualityRecord
from medseg.inference.mask_settings import MaskSettings
from medseg.inference.model_identity import ModelIdentity
from medseg.inference.unchecked_record import UncheckedRecord
from medseg.version import __version__

RECORD_NAME = "predictions.json"
SOFTWARE = f"medseg {__version__}, research software, not a medical device"

__all__ = [
    "RECORD_NAME",
    "SOFTWARE",
    "CaseRecord",
    "FailureRecord",
    "GateRecord",
    "ModelIdentity",
    "PassedOverRecord",
    "PredictionRecord",
    "QualityRecord",
    "UncheckedRecord",
    "load_record",
    "save_record",
]


class PredictionRecord(Config):
    """The record of a whole folder; what earlier versions did not record is None or empty.

    Attributes:
        software: Name and version of the software that drew the masks, and what it is not.
        date: Time at which the last prediction into the folder began, in UTC, as ISO 8601 writes it.
        device: Device of that prediction, in words.
        cases: Delivered masks.
        failures: Cases that failed in that prediction.
        passed_over: Files and series among its inputs that are no case.
        labels: Value of each label by name.
        regions: Values that make up each structure, where structures overlap.
        settings: What decides the masks beside the scans.
        unchecked: Flags that were computed without some of the models, or not at all.
        models: Models that drew the masks, several for an ensemble.
    """

    software: str | None = None
    date: str | None = None
    device: str | None = None
    cases: tuple[CaseRecord, ...]
    failures: tuple[FailureRecord, ...]
    passed_over: tuple[PassedOverRecord, ...] = ()
    labels: dict[str, int]
    regions: dict[str, tuple[int, ...]] | None = Field(None, exclude_if=lambda regions: regions is None)
    settings: MaskSettings | None = None
    unchecked: tuple[UncheckedRecord, ...] = ()
    models: tuple[ModelIdentity, ...]

    @model_validator(mode="before")
    @classmethod
    def _read_one_model(cls, content: Any) -> Any:
        """Earlier versions wrote one `model`."""
        if not isinstance(content, dict) or "model" not in content or "models" in content:
            return content
        others = {key: value for key, value in content.items() if key != "model"}
        return {**others, "models": (content["model"],)}

    @property
    def structures(self) -> dict[str, tuple[int, ...]]:
        """Values of a mask that show each structure, by name, the background left out."""
        return self.regions or {name: (value,) for name, value in self.labels.items() if value != 0}

    @property
    def model(self) -> ModelIdentity | None:
        """The only model; None for an ensemble."""
        return self.models[0] if len(self.models) == 1 else None

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Ids of the cases that a model was trained on."""
        return tuple(dict.fromkeys(case_id for model in self.models for case_id in model.trained_on))

    def trained_on_for(self, case_id: str) -> frozenset[str]:
        """Ids of the cases that some model was trained on which drew the mask of a case."""
        case = next((one for one in self.cases if one.case_id == case_id), None)
        places = case.drawn_by if case is not None and case.drawn_by is not None else range(len(self.models))
        return frozenset(seen for place in places for seen in self.models[place].trained_on)


def save_record(record: PredictionRecord, folder: Path) -> None:
    """Write `predictions.json`."""
    write_json(folder / RECORD_NAME, record.model_dump(mode="json"))


def load_record(folder: Path) -> PredictionRecord | None:
    """Read `predictions.json`; None if there is none, as in a folder of masks from elsewhere.

    Raises:
        DeliveryError: If the file is damaged or not of masks, or an id or a mask in it is no name of a file of the
            folder.
    """
    path = folder / RECORD_NAME
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _check_masks(content)
        record = parse_config(PredictionRecord, content, source=path.name)
        _check_names(record)
    except (OSError, ValueError, RecursionError, ConfigError) as error:
        fact = f"masks: {RECORD_NAME} must be as predict wrote it, got: {error}"
        raise DeliveryError(fact, remedy="predict again, into another folder") from error
    return record


def _check_masks(content: object) -> None:
    """Refuse a record of another kind, such as one of quantities."""
    kind = content.get("kind") if isinstance(content, dict) else None
    if kind is not None:
        raise DeliveryError(
            f"{RECORD_NAME} must be of predicted masks, got one of {kind}",
            remedy="give a folder that a model of masks was predicted into",
        )


def _check_names(record: PredictionRecord) -> None:
    """Refuse names that lead out of the folder: files are read and written by them."""
    for case in record.cases:
        for name in (case.case_id, case.mask):
            if name in ("", ".", "..") or any(sign in name for sign in "/\\\0"):
                raise ConfigError(f"ids and masks must be usable as names of files, got {name!r}")
