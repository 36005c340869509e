"""Files of an inbox with their sizes and times, read with as little work as a look every few seconds allows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_OF_A_SYSTEM = re.compile(
    r"^(\._.*|\.DS_Store|\.localized|\.directory|\.apdisk|\.AppleDouble|\.Spotlight-.*|\.Trash.*|\.fseventsd"
    r"|\.@__thumb|@eaDir|__MACOSX|\.nfs[0-9a-f]+|\.fuse_hidden\w+|\.git)$"
)
_UNFINISHED = re.compile(r"(^[.~])|(\.(part|partial|filepart|tmp|temp|crdownload|download|swp|lck)$)|~$", re.IGNORECASE)
_GONE = (-1, 0)


class FileFacts(NamedTuple):
    """What changes of a file while it is written.

    Attributes:
        path: Path of the file.
        size: Its bytes; -1 if it is gone or locked, or a folder that is.
        time_ns: Time of its last change in nanoseconds.
    """

    path: str
    size: int
    time_ns: int


def is_of_a_system(name: str) -> bool:
    """Whether a name is of what desktops and file servers leave everywhere, which no sender finishes."""
    return _OF_A_SYSTEM.match(name) is not None


def is_unfinished(name: str) -> bool:
    """Whether a name is of those by which programs upload, download or edit a file before it is whole."""
    return _UNFINISHED.search(name) is not None and not is_of_a_system(name)


def facts_of(path: Path) -> FileFacts:
    """Path, size and time of a file; of one that is gone or locked the path alone."""
    try:
        found = path.stat()
    except OSError:
        return FileFacts(str(path), *_GONE)
    return FileFacts(str(path), found.st_size, found.st_mtime_ns)


def facts_below(folder: Path, *, without: Path) -> Iterator[FileFacts]:
    """All files below a folder, at any depth and through links, each folder once.

    Args:
        folder: Folder of the inbox.
        without: Folder that is left out.
    """
    entered: set[tuple[int, int]] = set()
    left_out = _identity(str(without))
    waiting = [str(folder)]
    while waiting:
        here = waiting.pop()
        identity = _identity(here)
        if identity == left_out or identity in entered:
            continue
        if identity is not None:
            entered.add(identity)
        try:
            with os.scandir(here) as listed:
                entries = [entry for entry in listed if not is_of_a_system(entry.name)]
        except OSError:
            yield FileFacts(here, *_GONE)  # so that it is taken again once it can be read
            continue
        waiting += [entry.path for entry in entries if _is_folder(entry)]
        yield from (_facts_of_entry(entry) for entry in entries if not _is_folder(entry))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # of a string, as there are many
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _facts_of_entry(entry: os.DirEntry[str]) -> FileFacts:
    try:
        found = entry.stat()
    except OSError:
        return FileFacts(entry.path, *_GONE)
    return FileFacts(entry.path, found.st_size, found.st_mtime_ns)
