"""All files below the paths that were given, each once, and what they hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import ScanError
from medseg.ingest.source_files import AGAIN, SPECIAL, PassedFile, SourceFiles, list_source
from medseg.ingest.walk import Source, read_listed
from medseg.scans.dicom import is_dicom

_MOST_THREADS = 8


@dataclass(frozen=True, slots=True)
class GivenFiles:
    """Files of the paths that were given.

    Attributes:
        paths: Paths as they were given.
        listed: Files to read, and what is passed over already.
        number_of: Number of the path that each file was reached by.
        named: Files that were given themselves, and not by their folder.
    """

    paths: tuple[Path, ...]
    listed: SourceFiles
    number_of: dict[Path, int]
    named: frozenset[Path]

    def folder_of(self, path: Path) -> Path:
        """The folder that was given, or that of a file that was given."""
        given = self.paths[self.number(path)]
        return given if given != path and given in path.parents else path.parent

    def place(self, path: Path) -> tuple[int, str]:
        """Sort key: order of the paths, then the path below."""
        return self.number(path), path.relative_to(self.folder_of(path)).as_posix()

    def shown(self, path: Path) -> str:
        """The path below what was given, with the name of the given folder where there are several."""
        folder = self.folder_of(path)
        inside = path.relative_to(folder).as_posix()
        return inside if len(self.paths) == 1 or path in self.named else f"{folder.name}/{inside}".lstrip("/")

    def number(self, path: Path) -> int:
        """Number of the path that a file or folder was reached by."""
        if path in self.number_of:
            return self.number_of[path]
        return next((n for n, given in enumerate(self.paths) if path == given or given in path.parents), 0)


def list_given(paths: Sequence[Path], *, without: Path | None) -> GivenFiles:
    """List files and all files below folders, at any depth and through links, as ingest does.

    Args:
        paths: Files and folders.
        without: Folder that is left out; none if not given.

    Raises:
        ScanError: If a path does not exist.
    """
    merged, number_of = SourceFiles(), dict[Path, int]()
    seen: set[str] = set()
    for number, path in enumerate(paths):
        listed = _list(path, without)
        real = {file: os.path.realpath(file) for file in listed.files}
        again = [file for file in listed.files if real[file] in seen]
        merged.passed_over += [PassedFile(file, AGAIN) for file in again if file not in number_of]
        merged.files += [file for file in listed.files if real[file] not in seen]
        merged.passed_over += listed.passed_over
        merged.locked += listed.locked
        for file in listed.files:
            number_of.setdefault(file, number)
        seen.update(real.values())
    named = frozenset(path for path in paths if path in number_of)
    return GivenFiles(tuple(paths), merged, number_of, named)


def _list(path: Path, without: Path | None) -> SourceFiles:
    if path.is_dir():
        return list_source(path, without=without)
    if not path.exists():
        raise ScanError(f"input {path.name}: must exist, found nothing", remedy="check the path")
    if not path.is_file():  # such as a pipe, which would be waited for
        return SourceFiles(passed_over=[PassedFile(path, SPECIAL)])
    return SourceFiles(files=[path])


def holds_dicom(files: Iterable[Path]) -> bool:
    """Whether one of the files is DICOM, by its first bytes."""
    return any(_is_dicom(path) for path in files)


def read_given(given: GivenFiles, on_file: Callable[[int], None]) -> Source:
    """Read the headers of all files.

    Args:
        given: Files.
        on_file: Called with the number of files read since the last call.
    """
    return read_listed(given.listed, workers=min(_MOST_THREADS, os.cpu_count() or 1), on_file=on_file)


def _is_dicom(path: Path) -> bool:
    try:
        return is_dicom(path)
    except ScanError:
        return False
