"""The journal in which a search without a database keeps its trials."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from medseg.runs.search.locks import Claim

JOURNAL_NAME = "journal.log"


def journal_storage(folder: Path) -> Any:
    """Optuna's storage in a file of lines, which stays usable when a worker is killed or the disk is full.

    Args:
        folder: Folder of the search.
    """
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    path = folder / JOURNAL_NAME
    return JournalStorage(JournalFileBackend(str(path), lock_obj=_JournalLock(path)))  # type: ignore[arg-type]


class _JournalLock:
    """The right to write to the journal, as Optuna asks for it; the system lets go of it when a worker is killed.

    What is left of a line that was not written to its end is cut off before the next one is written: a line counts once
    it is whole, so that no worker has read it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._claim = Claim(path.parent / "locks" / "journal.lock")

    def acquire(self) -> bool:
        """Wait for the right, and leave whole lines alone."""
        self._claim.wait()
        try:
            _cut_torn_line(self._path)
        except OSError:
            self._claim.release()
            raise
        return True

    def release(self) -> None:
        """Let go of it."""
        self._claim.release()


def _cut_torn_line(path: Path) -> None:
    """Cut off a last line without its end."""
    with path.open("r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, end - 1))
        if end == 0 or stream.read(1) == b"\n":
            return
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)
