"""The files below a folder, links followed, each file once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_INDEX = "DICOMDIR"
_MAC_COPIES = "__MACOSX"
_CONTENT_STORE = (".git", "annex", "objects")  # files of equal content share one object there

HIDDEN = "it is hidden, or lies in a hidden folder"
MAC_COPY = "a copy of file attributes that a Mac makes"
INDEX = "an index of other files"
AGAIN = "a link to a file that is read already; it counts once"
FOLDER_AGAIN = "a link to a folder that is read already, or that holds the source; it is not followed again"
SPECIAL = "no ordinary file"
LOST_LINK = "a link that leads to no file; copy the file to its place"


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """A file or folder that cannot be read, and the reason."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class PassedFile:
    """A file, or a link to a folder, that is passed over on purpose, and the reason."""

    path: Path
    reason: str


@dataclass(slots=True)
class SourceFiles:
    """Everything below a folder, before anything is opened.

    Attributes:
        files: Files to read, sorted by name within their folders.
        passed_over: Files and links that are passed over.
        locked: Folders that cannot be listed.
    """

    files: list[Path] = field(default_factory=list)
    passed_over: list[PassedFile] = field(default_factory=list)
    locked: list[UnreadableFile] = field(default_factory=list)


def list_source(root: Path, *, without: Path | None) -> SourceFiles:
    """List all files below a folder, at any depth and through links.

    Ordinary folders come before linked ones, so that a file has its own name where it is reached by a link too. A
    folder is entered once, and a link to a folder that holds the source never.

    Args:
        root: Folder to list.
        without: Output folder, left out, since it may lie within; None without one.
    """
    found = SourceFiles()
    output, start = without.resolve() if without else None, root.resolve()
    entered: set[Path] = set()
    links: list[Path] = []
    known: set[Path] = set()
    waiting = deque([root])
    while waiting:
        folder = waiting.popleft()
        real = folder.resolve()
        if real in entered or (folder != root and real in (start, *start.parents)):
            found.passed_over.append(PassedFile(folder, FOLDER_AGAIN))
            continue
        if real == output or output in real.parents:
            continue
        for here, real_here, linked, names in _ordinary_folders(folder, real, output, entered, found):
            waiting.extend(linked)
            for name in names:
                path = here / name
                if _is_passed(path, found):
                    continue
                if path.is_symlink():
                    links.append(path)
                elif path.is_file():
                    known.add(real_here / name)
                    found.files.append(path)
                else:
                    found.passed_over.append(PassedFile(path, SPECIAL))
    _add_links(links, known, found)
    return found


def _ordinary_folders(
    folder: Path, real: Path, output: Path | None, entered: set[Path], found: SourceFiles
) -> Iterator[tuple[Path, Path, list[Path], list[str]]]:
    """Each folder below one, without links: its path, its real path, its links to folders, and its file names."""
    for parent, folders, names in os.walk(folder, onerror=lambda error: found.locked.append(_locked(error, "folder"))):
        here = Path(parent)
        real_here = real / here.relative_to(folder)
        if real_here in entered:
            folders.clear()
            found.passed_over.append(PassedFile(here, FOLDER_AGAIN))
            continue
        entered.add(real_here)
        linked, inside = [], []
        for name in sorted(folders):
            path = here / name
            if path.resolve() == output:
                continue
            reason = HIDDEN if name.startswith(".") else MAC_COPY if name == _MAC_COPIES else ""
            if reason:
                found.passed_over += [PassedFile(file, reason) for file in _all_files(path)]
            elif path.is_symlink():
                linked.append(path)
            else:
                inside.append(name)
        folders[:] = inside
        yield here, real_here, linked, sorted(names)


def _all_files(folder: Path) -> list[Path]:
    """Files below a folder that is passed over; a link to a folder counts as one file."""
    if folder.is_symlink():
        return [folder]
    return [Path(parent) / name for parent, _, names in os.walk(folder) for name in sorted(names)]


def _is_passed(path: Path, found: SourceFiles) -> bool:
    reason = HIDDEN if path.name.startswith(".") else INDEX if path.name == _INDEX else ""
    if reason:
        found.passed_over.append(PassedFile(path, reason))
    return bool(reason)


def _add_links(links: list[Path], known: set[Path], found: SourceFiles) -> None:
    """Add the linked files, each real file once unless a store keeps files of equal content only once."""
    for path in links:
        try:
            real = path.resolve()
            is_file = path.is_file()
        except (OSError, RuntimeError):
            is_file = False
        if not is_file:
            found.passed_over.append(PassedFile(path, LOST_LINK))
        elif real in known:
            found.passed_over.append(PassedFile(path, AGAIN))
        else:
            if not _is_in_content_store(real):
                known.add(real)
            found.files.append(path)


def _is_in_content_store(path: Path) -> bool:
    parts = path.parts
    return any(parts[at : at + 3] == _CONTENT_STORE for at in range(len(parts)))


def _locked(error: OSError, what: str) -> UnreadableFile:
    reason = f"a {what} must be readable, got: {error.strerror}; fix its permissions"
    return UnreadableFile(Path(str(error.filename)), reason)
