"""`<case_id>.json` beside a mask: its volumes and where it comes from. It proves that the mask is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from medseg.atomic import write_json
from medseg.configuration import parse_config
from medseg.errors import ConfigError
from medseg.inference.case_record import CaseRecord
from medseg.inference.model_identity import ModelOrigin
from medseg.inference.record import RECORD_NAME


class Sidecar(CaseRecord):
    """A case's record, and what is said of all cases in `predictions.json`, so that the mask can go alone.

    Attributes:
        labels: Value of each label by name.
        regions: Values that make up each structure, where structures overlap.
        software: Name and version of the software that drew the mask, and what it is not.
        date: Time at which the mask was written, in UTC, as ISO 8601 writes it.
        device: Device that drew it, in words.
        models: Models that drew it, several for an ensemble.
        settings_digest: SHA-256 of what decides the mask beside the scan.
    """

    labels: dict[str, int]
    regions: dict[str, tuple[int, ...]] | None = Field(None, exclude_if=lambda regions: regions is None)
    software: str
    date: str
    device: str
    models: tuple[ModelOrigin, ...]
    settings_digest: str

    @property
    def case(self) -> CaseRecord:
        """The record of the case alone."""
        return CaseRecord.model_validate(self.model_dump(include=set(CaseRecord.model_fields)))


def sidecar_path(folder: Path, case_id: str) -> Path:
    """File of a sidecar."""
    return folder / f"{case_id}.json"


def save_sidecar(sidecar: Sidecar, folder: Path) -> None:
    """Write a sidecar; its mask must be there already."""
    write_json(sidecar_path(folder, sidecar.case_id), sidecar.model_dump(mode="json"))


def load_sidecar(path: Path) -> Sidecar | None:
    """Read a sidecar; None if it is missing, damaged, of an earlier version or another file."""
    try:
        sidecar = parse_config(Sidecar, json.loads(path.read_text(encoding="utf-8")), source=path.name)
    except (OSError, ValueError, ConfigError):
        return None
    return sidecar if sidecar_path(path.parent, sidecar.case_id) == path else None


def load_sidecars(folder: Path) -> Iterator[Sidecar]:
    """All sidecars of a folder that can be read, by their names; none where it is no folder."""
    for path in sorted(folder.glob("*.json")):
        sidecar = load_sidecar(path) if path.name != RECORD_NAME else None
        if sidecar is not None:
            yield sidecar
