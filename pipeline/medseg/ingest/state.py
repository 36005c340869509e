"""The finished work of an ingest, so that it continues where it stopped; holds pseudonyms and keyed checksums only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medseg.atomic import write_json
from medseg.errors import ManifestError
from medseg.ingest.case_build import CaseBuild
from medseg.ingest.case_record import CaseRecord
from medseg.ingest.key import Pseudonyms

_FORMAT = 1


class State:
    """The folder `.ingest` of a dataset.

    Args:
        out: Folder of the dataset.
        names: Pseudonyms by the key that the dataset was begun with.

    Raises:
        ManifestError: If the folder holds something else, or was begun with another key.
    """

    def __init__(self, out: Path, names: Pseudonyms) -> None:
        self._folder = out / ".ingest"
        self._names = names
        about = {"format": _FORMAT, "key": names.fingerprint, "keep_ids": names.keep_ids}
        path = self._folder / "about.json"
        if path.is_file():
            if self._read(path) != about:
                raise ManifestError(
                    f"dataset {out.name}: must be continued with the key and the kind of ids (kept or not) that it was "
                    "begun with, got others",
                    remedy="give the same key, or another output folder",
                )
            return
        if out.exists() and (not out.is_dir() or any(entry.name != ".ingest" for entry in out.iterdir())):
            raise ManifestError(
                f"dataset {out.name}: must be new, empty or begun by ingest", remedy="choose another output folder"
            )
        write_json(path, about)

    def image_seal(self, build: CaseBuild, settings: dict[str, object]) -> str:
        """Keyed checksum of a case's image files and of the settings of reading them."""
        parts = [json.dumps(settings, sort_keys=True), build.reference.key]
        for image in build.images:
            parts.append(image.key)
            parts += [_file_seal(path) for path in image.files]
        return self._names.seal("\n".join(parts))

    def label_seal(self, build: CaseBuild, settings: dict[str, object]) -> str:
        """Keyed checksum of a case's label files, the mapping and the settings."""
        parts = [json.dumps(settings, sort_keys=True)]
        for one in build.labels:
            parts += [_file_seal(one.label.path), repr(one.label.names), repr(one.label.values)]
        return self._names.seal("\n".join(parts))

    def quantity_seal(self, build: CaseBuild, settings: dict[str, object]) -> str:
        """Keyed checksum of the files of a case's quantities, their rules and the settings."""
        parts = [json.dumps(settings, sort_keys=True)]
        for source in build.quantities:
            parts += [source.name, source.rule.model_dump_json(), *(_file_seal(path) for path in source.files)]
        return self._names.seal("\n".join(parts))

    def read(self, case_id: str) -> CaseRecord | None:
        """The record of a case; None if there is none or it is damaged."""
        try:
            return CaseRecord.model_validate(self._read(self._path(case_id)))
        except ValidationError:
            return None

    def write(self, case_id: str, record: CaseRecord) -> None:
        """Record a case."""
        write_json(self._path(case_id), record.model_dump(mode="json", exclude_defaults=True))

    def clear(self, case_id: str) -> None:
        """Empty the record of a case, whose files are out of date."""
        write_json(self._path(case_id), {})

    def is_own_text(self, path: Path) -> bool:
        """Whether a file is missing or holds an unedited proposal."""
        if not path.is_file():
            return True
        return self._names.seal(path.read_text(encoding="utf-8")) in self._proposed()

    def remember_text(self, text: str) -> None:
        """Remember a proposal, so that it is recognised until it is edited."""
        write_json(self._folder / "proposed.json", {"seals": sorted({*self._proposed(), self._names.seal(text)})})

    def _proposed(self) -> list[str]:
        return list(self._read(self._folder / "proposed.json").get("seals", ()))

    def forget(self, keep: set[str]) -> None:
        """Drop the records of all other cases."""
        for path in sorted((self._folder / "cases").glob("*.json")):
            if path.stem not in keep:
                path.unlink()

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _path(self, case_id: str) -> Path:
        return self._folder / "cases" / f"{case_id}.json"


def _file_seal(path: Path) -> str:
    status = path.stat()
    return f"{path.name}\t{status.st_size}\t{status.st_mtime_ns}"
