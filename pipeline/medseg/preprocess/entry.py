"""Entries of the store: one folder per case and settings, keyed by content, whole or made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from medseg.atomic import atomic_path
from medseg.errors import DeliveryError, PipelineError, ScanError
from medseg.preprocess.content_key import content_key
from medseg.preprocess.store import check_sums, damaged_entry, file_sums
from medseg.records import Case, Failure, Manifest

Entry = TypeVar("Entry")


class PreparedCohort(NamedTuple, Generic[Entry]):
    """What came of a cohort: prepared cases in the order asked for, and those that failed."""

    cases: tuple[Entry, ...]
    failures: tuple[Failure, ...]


def case_key(case: Case, manifest: Manifest, root: Path, settings: dict[str, Any], *, with_label: bool) -> str:
    """Key of a case's entry: over the bytes of its files, what the manifest says of them, and the task's settings.

    Args:
        case: Case to prepare.
        manifest: Manifest of the case.
        root: Data root.
        settings: Everything else that decides what the entry holds.
        with_label: Whether the label is read.
    """
    facts = {"channels": len(manifest.channels), "instances": manifest.instances, "sha256": case.sha256}
    label = [case.label] if with_label and case.label else []
    return content_key(settings | facts, [root / name for name in (*case.images, *label)])


def open_or_make(folder: Path, open_entry: Callable[[], Entry], make: Callable[[], None]) -> Entry:
    """The entry of a folder; one that is missing or damaged is made first.

    Args:
        folder: Folder of the entry.
        open_entry: Opens it, and raises `ScanError` if it is damaged.
        make: Writes it.
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
        name: File for the facts, and for the checksum of every other file.
        facts: What is known of the case.
        write_arrays: Writes the arrays into the folder that it is given.

    Raises:
        DeliveryError: If it cannot be written, and no other process wrote the same content first.
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
    """Give out the facts of an entry whose files are as they were written.

    Raises:
        ScanError: If a file is missing or changed, or the facts turn out not to be those of such an entry.
    """
    try:
        facts = json.loads((folder / name).read_text(encoding="utf-8"))
        check_sums(folder, facts["sha256"])
        yield facts
    except ScanError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, PipelineError) as error:
        raise ScanError(f"case {case_id}: {damaged_entry(folder, error)}") from error
