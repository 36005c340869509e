"""All files below a folder: DICOM recognised by content, other scans by their endings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import ScanError
from medseg.ingest.source_files import PassedFile, SourceFiles, UnreadableFile, list_source
from medseg.scans import ITK_SUFFIXES, NIFTI_SUFFIXES, SCAN_SUFFIXES, is_picture_file
from medseg.scans.dicom import Instance, is_dicom, read_instance

_CHUNK = 64
_DICOM_ENDINGS = (".dcm", ".dic", ".dicom", ".ima")
_NOT_DICOM = "a file named like DICOM must be DICOM, got other content; copy it again"
_VOXELS = "the voxels of a header beside it"
_NO_SIZE = "an image must give its rows and columns, got a header without them; copy it again"


@dataclass(frozen=True, slots=True)
class Source:
    """The files of a folder.

    Attributes:
        instances: DICOM files, images and label objects.
        volumes: NIfTI, NRRD and MetaImage files.
        pictures: PNG, JPEG and TIFF files.
        unreadable: Files that cannot be read, with reasons.
        ignored: Files that are neither scans nor labels.
        passed_over: Files, and links to folders, that are passed over, with reasons.
    """

    instances: tuple[Instance, ...] = ()
    volumes: tuple[Path, ...] = ()
    pictures: tuple[Path, ...] = ()
    unreadable: tuple[UnreadableFile, ...] = ()
    ignored: tuple[Path, ...] = ()
    passed_over: tuple[PassedFile, ...] = ()

    @property
    def count(self) -> int:
        """Number of all files."""
        known = (self.instances, self.volumes, self.pictures, self.unreadable, self.ignored, self.passed_over)
        return sum(len(files) for files in known)


def walk_source(
    folder: Path, *, without: Path, workers: int, on_file: Callable[[int], None] = lambda count: None
) -> Source:
    """Read the headers of all files below a folder, at any depth and through links.

    Args:
        folder: Folder to search.
        without: Output folder, left out, since it may lie within.
        workers: Number of threads.
        on_file: Called with the number of files read since the last call.
    """
    return read_listed(list_source(folder, without=without), workers=workers, on_file=on_file)


def read_listed(listed: SourceFiles, *, workers: int, on_file: Callable[[int], None] = lambda count: None) -> Source:
    """Read the headers of files that are listed already.

    Args:
        listed: Files, perhaps of several folders.
        workers: Number of threads.
        on_file: Called with the number of files read since the last call.
    """
    files = listed.files
    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    read: list[tuple[Path, Instance | UnreadableFile | None]] = []
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for chunk in pool.map(_read_chunk, chunks):
            read += chunk
            on_file(len(chunk))
    return _sorted_by_kind(read, listed.locked, listed.passed_over)


def _sorted_by_kind(
    read: Sequence[tuple[Path, Instance | UnreadableFile | None]],
    locked: Sequence[UnreadableFile],
    passed_over: Sequence[PassedFile],
) -> Source:
    instances = tuple(one for _, one in read if isinstance(one, Instance))
    unreadable = [*locked, *(one for _, one in read if isinstance(one, UnreadableFile))]
    voxels = {path for path, one in read if one is None and _is_voxels_of_header(path)}
    others = [path for path, one in read if one is None and path not in voxels]
    rest = [path for path in others if not _is_volume(path) and not is_picture_file(path)]
    endings = {(one.path.parent, one.path.suffix.lower()) for one in instances}
    lost = {path for path in rest if _may_be_slice(path, endings)}
    return Source(
        instances=instances,
        volumes=tuple(path for path in others if _is_volume(path)),
        pictures=tuple(path for path in others if is_picture_file(path)),
        unreadable=(*unreadable, *(UnreadableFile(path, _NOT_DICOM) for path in rest if path in lost)),
        ignored=tuple(path for path in rest if path not in lost),
        passed_over=(*passed_over, *(PassedFile(path, _VOXELS) for path in sorted(voxels))),
    )


def _may_be_slice(path: Path, endings: Collection[tuple[Path, str]]) -> bool:
    """Whether a file that is not DICOM should be, by its name or its neighbours."""
    ending = path.suffix.lower()
    like_neighbours = (path.parent, ending) in endings and not _is_text(path)
    return ending in _DICOM_ENDINGS or like_neighbours or path.stat().st_size == 0


def _is_voxels_of_header(path: Path) -> bool:
    is_img = path.name.lower().endswith(".img")
    return is_img and any(path.with_suffix(suffix).is_file() for suffix in (".hdr", ".HDR"))


def _is_volume(path: Path) -> bool:
    name = path.name.lower()
    return name.endswith((*NIFTI_SUFFIXES, *ITK_SUFFIXES)) and not name.endswith(".img")


def _is_text(path: Path) -> bool:
    with path.open("rb") as stream:
        start = stream.read(512)
    return bool(start) and all(byte >= 32 or byte in b"\t\r\n" for byte in start)


def _read_chunk(paths: list[Path]) -> list[tuple[Path, Instance | UnreadableFile | None]]:
    return [(path, _read(path)) for path in paths]


def _read(path: Path) -> Instance | UnreadableFile | None:
    """The header of a DICOM file, or the reason why it cannot be read; None for other files."""
    name = path.name.lower()
    try:
        if name.endswith(SCAN_SUFFIXES) and not is_dicom(path):
            return None
        instance = read_instance(path)
    except (ScanError, MemoryError) as error:
        return UnreadableFile(path, str(error) or "memory must hold the header")
    if instance is not None and not instance.has_pixels and instance.sop_class.endswith("Image Storage"):
        return UnreadableFile(path, _NO_SIZE)
    return instance
