"""Entries of the store: one folder per case and settings, keyed by content, whole or made again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from medseg.atomic import atomic_path
from medseg.errors import DeliveryError, PipelineError, ScanError
from medseg.preprocess.store import check_sums, damaged_entry, file_sums
from medseg.records import Case, Failure, Manifest
from medseg.scans import pair_of

Entry = TypeVar("Entry")


class PreparedCohort(NamedTuple, Generic[Entry]):
    """A prepared cohort.

    Attributes:
        cases: Prepared cases in the order given.
        failures: Cases that failed.
    """

    cases: tuple[Entry, ...]
    failures: tuple[Failure, ...]


def case_key(
    case: Case,
    manifest: Manifest,
    root: Path,
    settings: dict[str, Any],
    *,
    with_label: bool,
    others: Sequence[str] = (),
) -> str:
    """Key of a case's entry, from the bytes of its files, their facts in the manifest, and the task's settings.

    Args:
        case: Case to prepare.
        manifest: Manifest of the case.
        root: Data root.
        settings: Everything else that decides what the entry holds.
        with_label: Whether the label is read, and those of raters.
        others: Further files that are read, relative to the data root.
    """
    facts = {"channels": len(manifest.channels), "instances": manifest.instances, "sha256": case.sha256}
    label = case.label_files if with_label else ()
    return _content_key(settings | facts, [root / name for name in (*case.images, *label, *others)])


def open_or_make(folder: Path, open_entry: Callable[[], Entry], make: Callable[[], None]) -> Entry:
    """The entry of a folder; one that is missing or damaged is made first.

    Args:
        folder: Folder of the entry.
        open_entry: Function that opens the entry, and raises `ScanError` if it is damaged.
        make: Function that writes the entry.
    """
    if folder.exists():
        try:
            return open_entry()
        except ScanError:
            shutil.rmtree(folder)
    make()
    return open_entry()


def write_entry(folder: Path, name: str, facts: dict[str, Any], write_arrays: Callable[[Path], None]) -> None:
    """Write an entry; its folder appears whole or not at all.

    Args:
        folder: Folder of the entry.
        name: Name of the file that holds the facts, and the checksum of every other file.
        facts: Facts about the case.
        write_arrays: Function that writes the arrays into the folder that it is given.

    Raises:
        DeliveryError: If the entry cannot be written, and no other process has written the same content.
    """
    try:
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            write_arrays(temporary)
            content = {**facts, "sha256": file_sums(temporary)}
            (temporary / name).write_text(json.dumps(content), encoding="utf-8")
    except DeliveryError:
        if not (folder / name).exists():
            raise


@contextmanager
def reading_entry(folder: Path, name: str, *, case_id: str) -> Iterator[dict[str, Any]]:
    """Yield the facts of an entry whose files are as they were written.

    Raises:
        ScanError: If a file is missing or changed, or the facts are not those of such an entry.
    """
    try:
        facts = json.loads((folder / name).read_text(encoding="utf-8"))
        check_sums(folder, facts["sha256"])
        yield facts
    except ScanError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, PipelineError) as error:
        raise damaged_entry(folder, error, case_id=case_id) from error


def _content_key(settings: dict[str, Any], files: Sequence[Path]) -> str:
    """32 hexadecimal digits of a hash over settings and the bytes of files, both files of an `.hdr/.img` pair."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for file in files:
        for path in pair_of(file):
            digest.update(b"file")
            if path.is_file():
                with path.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:32]
