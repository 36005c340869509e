"""The file in a run's folder that keeps what a run logs until the MLflow store has it."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from medseg.errors import TrackingError
from medseg.tracking.entry import Entry

_FILES = ("file", "model")


@dataclass(frozen=True, slots=True)
class SpooledRun:
    """What a spool holds that the store does not.

    Attributes:
        run_id: MLflow run of the entries.
        tracking_uri: MLflow store of that run.
        entries: Unsent entries by their number, in order; their paths are absolute.
    """

    run_id: str
    tracking_uri: str
    entries: dict[int, Entry]


class Spool:
    """Appends entries to a file of JSON lines, in order, and notes there which of them were sent.

    The first line names run and store. Every other line is an entry with its number `n`, or a list of numbers that were
    `sent`. A file that is there is continued. Paths inside the spool's folder are relative to it.

    Args:
        path: File of the spool.
        run_id: MLflow run of the entries.
        tracking_uri: MLflow store of that run.

    Raises:
        TrackingError: If another process has the file open.
    """

    def __init__(self, path: Path, *, run_id: str, tracking_uri: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("a", encoding="utf-8")
        _lock(self._stream, path)
        if self._stream.tell() == 0:
            self._write({"run_id": run_id, "tracking_uri": tracking_uri})
        else:
            self._stream.write("\n")  # a line that a crash cut short ends here

    def append(self, number: int, entry: Entry) -> None:
        """Keep an entry."""
        self._write({"n": number, "kind": entry.kind, "content": self._relative(entry)})

    def note_sent(self, numbers: Sequence[int]) -> None:
        """Note that the store has entries."""
        self._write({"sent": list(numbers)})

    def close(self, *, is_sent: bool) -> None:
        """Close the file, and remove it if the store has all that it holds."""
        with self._lock:
            if is_sent:
                self.path.unlink(missing_ok=True)
            self._stream.close()

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()

    def _relative(self, entry: Entry) -> dict[str, Any]:
        content = dict(entry.content)
        if entry.kind in _FILES:
            path, folder = Path(os.path.abspath(content["path"])), Path(os.path.abspath(self.path.parent))  # noqa: PTH100
            content["path"] = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
        return content


def read_spool(path: Path) -> SpooledRun | None:
    """Read what the store does not have; None if there is no spool.

    Args:
        path: File of the spool.

    Raises:
        TrackingError: If the file is damaged beyond a last line that was cut short.
    """
    if not path.is_file():
        return None
    lines = [line for line in map(_parsed, path.read_text(encoding="utf-8").splitlines()) if line]
    if not lines or "run_id" not in lines[0]:
        raise TrackingError(f"{path}: must begin with its MLflow run", remedy="remove the file; its numbers are lost")
    entries: dict[int, Entry] = {}
    for line in lines[1:]:
        for number in line.get("sent", ()):
            entries.pop(number, None)
        if "n" in line:
            entries[line["n"]] = _absolute(Entry(line["kind"], line["content"]), path.parent)
    return SpooledRun(lines[0]["run_id"], lines[0]["tracking_uri"], entries)


def _lock(stream: IO[str], path: Path) -> None:
    """Hold the file, so that nobody removes it while a run writes to it; the system lets go of it at the end."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.close()
        raise TrackingError(f"{path}: must not be in use, got a run that goes on", remedy="wait for its end") from error
    except OSError:
        return  # a file system without locks


def _parsed(line: str) -> dict[str, Any]:
    """A line, or nothing where a crash cut it short."""
    try:
        content = json.loads(line)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _absolute(entry: Entry, folder: Path) -> Entry:
    if entry.kind not in _FILES:
        return entry
    return replace(entry, content={**entry.content, "path": str(folder / entry.content["path"])})
