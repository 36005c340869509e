"""The private table of a prediction: which pseudonym stands for which patient, study, series and file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from medseg.atomic import atomic_path, check_writable
from medseg.errors import ConfigError, ManifestError
from medseg.inference.folder_lock import locked_folder
from medseg.inference.inputs.case_ids import folded, free_id
from medseg.inference.inputs.case_input import PassedOver
from medseg.inference.inputs.draft import Draft
from medseg.inference.record import RECORD_NAME
from medseg.inference.source_record import SourceRecord
from medseg.ingest.key import Pseudonyms, load_key, safe_id

COLUMNS = (
    "case_id", "became", "reason", "patient", "patient_name", "study_date", "study_uid", "series_uid", "series_number",
    "modality", "description", "folder", "files", "key", "source",
)  # fmt: skip
Row = dict[str, str]


class PseudonymTable:
    """Pseudonyms of cases, the same in every run with one table.

    The table and its key, a file of the same name with `.key` at its end, are readable by their owner only. The key is
    that of ingest: with one key, a case has the same id in a data set of medseg ingest.

    Args:
        path: File of the table, new or written by an earlier run.

    Raises:
        ManifestError: If the file is no such table, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = {row["key"]: row for row in _read(path)}
        self._taken = {folded(row["case_id"]) for row in self._rows.values()}
        self.names = Pseudonyms(load_key(path.with_name(f"{path.name}.key")))

    @classmethod
    @contextmanager
    def opened(cls, path: Path, *, out: Path | None) -> Iterator[Self]:
        """Hold a table against other runs, which wait, and write it whole or not at all at the end of the block.

        Args:
            path: File of the table, new or written by an earlier run.
            out: Folder of the results, which must not hold the table.

        Raises:
            ConfigError: If the table would lie in the folder of some results.
            ManifestError: If the file is no such table, or cannot be read.
            DeliveryError: If the table cannot be written.
        """
        _check_outside(path, out)
        check_writable(path.parent, option="pseudonyms").mkdir(parents=True, exist_ok=True)
        with locked_folder(path.parent, is_awaited=True):
            table = cls(path)
            yield table
            table._save()

    def case_id(self, draft: Draft) -> str:
        """The pseudonym of a case."""
        known = self._rows.get(draft.key)
        case_id = known["case_id"] if known else free_id(self._new_id(draft), self._taken)
        self._rows[draft.key] = _case_row(case_id, draft)
        return case_id

    def passed_over(self, one: PassedOver) -> PassedOver:
        """What was passed over, under a pseudonym in place of its path."""
        key = "\n".join(str(path.absolute()) for path in one.files) or one.path
        name = f"s{self.names.series(key)}"
        row = {"case_id": name, "became": "passed over", "reason": one.reason, "folder": one.path, "key": key}
        self._rows.setdefault(f"passed over\n{key}", row | {"files": str(len(one.files)), "key": f"passed over\n{key}"})
        return PassedOver(name, one.reason, one.files)

    def _save(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows.values())
        with atomic_path(self._path) as temporary:
            temporary.touch(mode=0o600)
            temporary.write_text(text.getvalue(), encoding="utf-8", errors="surrogateescape")

    def _new_id(self, draft: Draft) -> str:
        """The id that ingest gives a series; that of a file is made of its place."""
        patient = self.names.patient(draft.patient, is_id=draft.has_patient_id)
        if not draft.series:
            return patient if draft.source.kind == "files" else f"{patient}_{self.names.series(draft.key)}"
        first = draft.series[0]
        if len(draft.series) > 1:
            return f"{patient}_{self.names.series(first.study)}"
        kind = first.modality or ("picture" if first.is_picture else "scan")
        return f"{patient}_{safe_id(kind.lower())}_{self.names.series(first.key)}"


def _check_outside(path: Path, out: Path | None) -> None:
    """Refuse a table in the folder of this run's results, or in one of earlier results."""
    place = path.resolve()
    is_inside = out is not None and out.resolve() in (place, *place.parents)
    if is_inside or any((folder / RECORD_NAME).is_file() for folder in place.parents):
        raise ConfigError(
            f"table of pseudonyms {path.name}: must lie outside of the masks, got a file in their folder",
            remedy="choose a file in another folder",
        )


def load_pseudonym_table(path: Path) -> dict[str, SourceRecord]:
    """The sources of cases by their pseudonyms, for a result that refers to them.

    Args:
        path: Private table of a prediction.

    Raises:
        ManifestError: If the file is missing or no such table.
    """
    if not path.is_file():
        raise _no_table(path, "no file")
    return {row["case_id"]: SourceRecord(**json.loads(row["source"])) for row in _read(path) if row["source"]}


def patients_in_table(path: Path) -> dict[str, str]:
    """The patients of cases by their pseudonyms, as the source names them: private.

    Raises:
        ManifestError: If the file is no such table.
    """
    return {row["case_id"]: row["patient"] for row in _read(path) if row["became"] == "case"}


def _read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            reader = csv.DictReader(stream)
            columns: Sequence[str] = reader.fieldnames or ()
            rows = list(reader)
    except (OSError, csv.Error) as error:
        raise _no_table(path, getattr(error, "strerror", None) or "other content") from error
    if tuple(columns) != COLUMNS or any(None in row.values() or None in row for row in rows):
        raise _no_table(path, "other columns")
    return rows


def _no_table(path: Path, found: str) -> ManifestError:
    return ManifestError(
        f"table of pseudonyms {path.absolute().name}: must be one that medseg predict wrote, got {found}",
        remedy="give the table of an earlier prediction as it was written, or the name of a new file",
    )


def _case_row(case_id: str, draft: Draft) -> Row:
    first = draft.series[0].known_series().first if draft.series else None
    record = draft.source.series[0] if draft.source.series else None
    return {
        "case_id": case_id,
        "became": "failed" if draft.error else "case",
        "reason": draft.error.statement if draft.error else "",
        "patient": draft.patient,
        "patient_name": first.identity.name if first else "",
        "study_date": first.study_date if first else "",
        "study_uid": record.study_uid if record else "",
        "series_uid": record.series_uid if record else "",
        "series_number": record.series_number if record else "",
        "modality": record.modality if record else "",
        "description": record.description if record else "",
        "folder": str(draft.files[0].absolute().parent),
        "files": str(len(draft.files)),
        "key": draft.key,
        "source": json.dumps(draft.source.model_dump(mode="json", exclude_defaults=True)),
    }
