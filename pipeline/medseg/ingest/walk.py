"""Everything below a folder: DICOM by content, whatever its name, other scans by their endings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from medseg.errors import ScanError
from medseg.scans import ITK_SUFFIXES, NIFTI_SUFFIXES, SCAN_SUFFIXES, is_picture_file
from medseg.scans.dicom import Instance, is_dicom, read_instance

_NOT_SCANS = ("__MACOSX", "DICOMDIR")
_CHUNK = 64
_DICOM_ENDINGS = (".dcm", ".dic", ".dicom", ".ima")


@dataclass(slots=True)
class Source:
    """What a folder holds.

    Attributes:
        instances: DICOM files, images and label objects.
        volumes: NIfTI, NRRD and MetaImage files.
        pictures: PNG, JPEG and TIFF files.
        unreadable: DICOM files that cannot be read, and why.
        ignored: Files of no use here.
    """

    instances: list[Instance] = field(default_factory=list)
    volumes: list[Path] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    ignored: list[Path] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of all files."""
        known = (self.instances, self.volumes, self.pictures, self.unreadable, self.ignored)
        return sum(len(files) for files in known)


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
    files = list(_files(folder, without.resolve(), source))
    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for chunk in pool.map(_read_chunk, chunks):
            for path, what in chunk:
                _sort_in(source, path, what)
            on_file(len(chunk))
    _tell_lost_slices(source)
    return source


def _tell_lost_slices(source: Source) -> None:
    """Files that should be DICOM by their name or neighbours but are not: they may have been slices."""
    endings = {(one.path.parent, one.path.suffix.lower()) for one in source.instances}
    kept = []
    for path in source.ignored:
        like_neighbours = (path.parent, path.suffix.lower()) in endings and not _is_text(path)
        if path.suffix.lower() in _DICOM_ENDINGS or like_neighbours or path.stat().st_size == 0:
            source.unreadable.append((path, "a file named like DICOM must be DICOM, got other content; copy it again"))
        else:
            kept.append(path)
    source.ignored = kept


def _is_text(path: Path) -> bool:
    with path.open("rb") as stream:
        start = stream.read(512)
    return bool(start) and all(byte >= 32 or byte in b"\t\r\n" for byte in start)


def _files(folder: Path, without: Path, source: Source) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=lambda error: _tell_locked(source, error, "folder")):
        here = Path(parent)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in _NOT_SCANS
            and (here / name).resolve() != without
        )  # fmt: skip
        for name in sorted(names):
            path = here / name
            try:
                if not name.startswith(".") and name not in _NOT_SCANS and path.is_file():
                    yield path
            except OSError as error:
                _tell_locked(source, error, "file")


def _tell_locked(source: Source, error: OSError, what: str) -> None:
    reason = f"a {what} must be readable, got: {error.strerror}; mend its permissions"
    source.unreadable.append((Path(str(error.filename)), reason))


def _read_chunk(paths: list[Path]) -> list[tuple[Path, Instance | str | None]]:
    return [(path, _read(path)) for path in paths]


def _read(path: Path) -> Instance | str | None:
    """A DICOM file's header, why it cannot be read, or None for what is not DICOM."""
    name = path.name.lower()
    try:
        if name.endswith(SCAN_SUFFIXES) and not is_dicom(path):
            return None
        instance = read_instance(path)
        if instance is not None and not instance.has_pixels and instance.sop_class.endswith("Image Storage"):
            return "an image must give its rows and columns, got a header without them; copy it again"
        return instance
    except (ScanError, MemoryError) as error:
        return str(error) or "memory must hold the header"


def _sort_in(source: Source, path: Path, what: Instance | str | None) -> None:
    name = path.name.lower()
    if isinstance(what, Instance):
        source.instances.append(what)
    elif isinstance(what, str):
        source.unreadable.append((path, what))
    elif name.endswith(".img") and any(path.with_suffix(suffix).is_file() for suffix in (".hdr", ".HDR")):
        return  # the voxels of the header beside it
    elif name.endswith((*NIFTI_SUFFIXES, *ITK_SUFFIXES)) and not name.endswith(".img"):
        source.volumes.append(path)
    elif is_picture_file(path):
        source.pictures.append(path)
    else:
        source.ignored.append(path)
