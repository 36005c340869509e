"""The file in a run's folder that keeps what a run logs until the MLflow store has it."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from medseg.errors import TrackingError
from medseg.tracking.entry import Entry, Kind
from medseg.tracking.store_errors import without_password

_FILES = ("file", "model")
_KEYS: dict[Kind, set[str]] = {
    "parameters": {"values"},
    "metrics": {"values", "step", "at"},
    "tags": {"values"},
    "file": {"path", "folder"},
    "table": {"columns", "name"},
    "dataset": {"name", "digest", "source", "profile", "context"},
    "model": {"path", "version"},
    "used_model": {"model_run"},
    "status": {"status", "at"},
}


@dataclass(frozen=True, slots=True)
class Origin:
    """From what a run can be made anew in a store that has lost it.

    Attributes:
        experiment: Name of the experiment; "" if it is not known.
        name: Name of the run; "" if it is not known.
        tags: Tags that the run began with.
        about: Description of the experiment, if it does not exist yet.
        parent: Run below which the UI shows this one, if the experiment holds it; "" if there is none.
    """

    experiment: str = ""
    name: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    about: str = ""
    parent: str = ""


@dataclass(frozen=True, slots=True)
class SpooledRun:
    """What a spool holds that the store does not.

    Attributes:
        run_id: MLflow run of the entries.
        tracking_uri: MLflow store of that run.
        entries: Unsent entries by their number, in order; their paths are absolute.
        every: All entries, also those that the store was sent.
        origin: From what the run can be made anew.
        unknown: Count of the entries of kinds that this version does not know.
        damaged: Count of the lines that cannot be read.
    """

    run_id: str
    tracking_uri: str
    entries: dict[int, Entry]
    every: dict[int, Entry] = field(default_factory=dict)
    origin: Origin = Origin()
    unknown: int = 0
    damaged: int = 0

    @property
    def last(self) -> int:
        """Highest number of an entry."""
        return max(self.every, default=0)


class Spool:
    """Appends entries to a file of JSON lines, in order, and notes there which of them were sent.

    The first line names run and store. Every other line is an entry with its number `n`, or a list of numbers that were
    `sent`, or names a new run in place of the one before, which has nothing yet. A file that is there is continued.
    Paths inside the spool's folder are relative to it.

    Args:
        path: File of the spool.
        run_id: MLflow run of the entries.
        tracking_uri: MLflow store of that run.
        origin: From what the run can be made anew.

    Attributes:
        holds_more: Whether the file holds something that this version cannot send, and must stay.

    Raises:
        TrackingError: If another process has the file open.
    """

    def __init__(self, path: Path, *, run_id: str, tracking_uri: str, origin: Origin | None = None) -> None:
        self.path = path
        self.holds_more = False
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("a", encoding="utf-8")
        _lock(self._stream, path)
        if self._stream.tell() == 0:
            self.begin_run(run_id, tracking_uri, origin or Origin())
        else:
            self._stream.write("\n")  # a line that a crash cut short ends here

    def begin_run(self, run_id: str, tracking_uri: str, origin: Origin) -> None:
        """Note the run that all entries go to, those before this line as well."""
        uri = without_password(tracking_uri)
        self._write({"run_id": run_id, "tracking_uri": uri, "origin": asdict(origin), "at": time.time()})

    def append(self, number: int, entry: Entry) -> None:
        """Keep an entry."""
        self._write({"n": number, "kind": entry.kind, "content": self._relative(entry)})

    def note_sent(self, numbers: Sequence[int]) -> None:
        """Note that the store has entries."""
        self._write({"sent": list(numbers)})

    def close(self, *, is_sent: bool) -> None:
        """Close the file, and remove it if the store has all that it holds."""
        with self._lock:
            if is_sent and not self.holds_more:
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
        TrackingError: If the file cannot be read, or does not begin with its run.
    """
    try:
        if not path.is_file():
            return None
        written = path.read_bytes().split(b"\n")
    except OSError as error:
        raise TrackingError(
            f"{path}: must be readable, got: {error.strerror}", remedy="give yourself the right to read and write it"
        ) from error
    lines = [_parsed(line) for line in written if line]
    if not lines or not _is_header(lines[0]):
        raise TrackingError(f"{path}: must begin with its MLflow run", remedy="remove the file; its numbers are lost")
    run = SpooledRun(lines[0]["run_id"], lines[0]["tracking_uri"], {}, {}, _origin(lines[0]))
    for line in lines[1:]:
        run = _with_line(run, line, path.parent)
    return run


def begun_at(path: Path) -> float:
    """When the run of a spool began, in seconds since 1970; 0 where the file does not say so."""
    try:
        with path.open("rb") as stream:
            at = _parsed(stream.readline()).get("at")
    except OSError:
        return 0.0
    return float(at) if isinstance(at, int | float) else 0.0


def _with_line(run: SpooledRun, line: dict[str, Any], folder: Path) -> SpooledRun:
    """What the spool holds after one more line."""
    if _is_header(line):
        return replace(
            run, run_id=line["run_id"], tracking_uri=line["tracking_uri"], origin=_origin(line), entries=dict(run.every)
        )
    if isinstance(sent := line.get("sent"), list):
        for number in sent:
            run.entries.pop(number, None)
        return run
    kind, content = line.get("kind"), line.get("content")
    if not isinstance(line.get("n"), int) or not isinstance(kind, str) or not isinstance(content, dict):
        return replace(run, damaged=run.damaged + 1)
    if kind not in _KEYS:
        return replace(run, unknown=run.unknown + 1)
    if not _KEYS[kind] <= content.keys():
        return replace(run, damaged=run.damaged + 1)
    run.entries[line["n"]] = run.every[line["n"]] = _absolute(Entry(kind, content), folder)
    return run


def _is_header(line: dict[str, Any]) -> bool:
    return all(isinstance(line.get(key), str) and line[key] for key in ("run_id", "tracking_uri"))


def _origin(line: dict[str, Any]) -> Origin:
    """From what the run can be made; nothing where an earlier version did not write it."""
    try:
        return Origin(**line.get("origin", {}))
    except TypeError:
        return Origin()


def _lock(stream: IO[str], path: Path) -> None:
    """Hold the file, so that nobody removes it while a run writes to it; the system lets go of it at the end."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.close()
        raise TrackingError(f"{path}: must not be in use, got a run that goes on", remedy="wait for its end") from error
    except OSError:
        return  # a file system without locks


def _parsed(line: bytes) -> dict[str, Any]:
    """A line, or nothing where a crash cut it short."""
    try:
        content = json.loads(line.decode("utf-8"))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _absolute(entry: Entry, folder: Path) -> Entry:
    if entry.kind not in _FILES:
        return entry
    return replace(entry, content={**entry.content, "path": str(folder / entry.content["path"])})
