"""The private table of an ingest: what became of every series and file, under their own names."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from medseg.atomic import atomic_path
from medseg.ingest.fates import Fate
from medseg.ingest.key import Pseudonyms

_COLUMNS = (
    "source", "became", "why", "case_id", "kind", "patient", "study", "series_uid", "modality", "description", "files",
    "folder", "file",
)  # fmt: skip


def write_sources_table(fates: Sequence[Fate], path: Path, *, root: Path, names: Pseudonyms) -> None:
    """Write the table as CSV, readable by its owner only: it names the patients.

    The column `source` is the short name by which `ingest.json` calls the same series or file.

    Args:
        fates: Fate of every series and file.
        path: File to write, outside of the dataset.
        root: Source folder, which paths are relative to.
        names: Pseudonyms.

    Raises:
        DeliveryError: If it cannot be written.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    rows.writerows(_row(fate, root, names) for fate in fates)
    with atomic_path(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(text.getvalue(), encoding="utf-8", errors="backslashreplace")


def _row(fate: Fate, root: Path, names: Pseudonyms) -> tuple[object, ...]:
    first = fate.files[0] if fate.files else None
    folder = "" if first is None else first.parent.relative_to(root).as_posix()
    return (
        names.series(fate.key),
        fate.became,
        fate.why,
        fate.case_id or "",
        fate.kind,
        fate.patient,
        fate.study,
        fate.series_uid,
        fate.modality,
        fate.description,
        len(fate.files),
        folder,
        first.name if first else "",
    )
