"""Everything below a folder: DICOM by content, whatever its name, other scans by their endings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ScanError
from pipeline.scans import ITK_SUFFIXES, NIFTI_SUFFIXES, PICTURE_SUFFIXES
from pipeline.scans.dicom import Instance, is_dicom, read_instance

_NOT_SCANS = ("__MACOSX", "DICOMDIR")
_CHUNK = 64


@dataclass(slots=True)
class Source:
    """What a folder holds.

    Attributes:
        instances: DICOM files, images and label objects.
        volumes: NIfTI, NRRD and MetaImage files.
        pictures: PNG, JPEG and TIFF files.
        unreadable: DICOM files that cannot be read, and why.
        ignored: Number of files of no use here.
    """

    instances: list[Instance] = field(default_factory=list)
    volumes: list[Path] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    ignored: int = 0


def walk_source(
    folder: Path, *, without: Path, workers: int, on_file: Callable[[int], None] = lambda count: None
) -> Source:
    """Read the headers of all files below a folder, at any depth.

    Args:
        folder: Where to look; links to folders are not followed.
        without: The output folder, which may lie within.
        workers: Threads.
        on_file: Called with the number of files done since the last call.
    """
    source = Source()
    files = list(_files(folder, without.resolve()))
    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for chunk in pool.map(_read_chunk, chunks):
            for path, what in chunk:
                _sort_in(source, path, what)
            on_file(len(chunk))
    return source


def _files(folder: Path, without: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in _NOT_SCANS
            and (here / name).resolve() != without
        )  # fmt: skip
        for name in sorted(names):
            path = here / name
            if not name.startswith(".") and name not in _NOT_SCANS and path.is_file():
                yield path


def _read_chunk(paths: list[Path]) -> list[tuple[Path, Instance | str | None]]:
    return [(path, _read(path)) for path in paths]


def _read(path: Path) -> Instance | str | None:
    """A DICOM file's header, why it cannot be read, or None for what is not DICOM."""
    name = path.name.lower()
    try:
        if name.endswith((*NIFTI_SUFFIXES, *ITK_SUFFIXES, *PICTURE_SUFFIXES)) and not is_dicom(path):
            return None
        return read_instance(path)
    except (ScanError, MemoryError) as error:
        return str(error) or "memory must hold the header"


def _sort_in(source: Source, path: Path, what: Instance | str | None) -> None:
    name = path.name.lower()
    if isinstance(what, Instance):
        source.instances.append(what)
    elif isinstance(what, str):
        source.unreadable.append((path, what))
    elif name.endswith((*NIFTI_SUFFIXES, *ITK_SUFFIXES)):
        if not name.endswith(".img"):
            source.volumes.append(path)
    elif name.endswith(PICTURE_SUFFIXES):
        source.pictures.append(path)
    else:
        source.ignored += 1
