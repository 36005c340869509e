"""What lies in a folder in which scans arrive, and whether all of it has arrived."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.inference.inputs.digest import with_voxel_files
from medseg.scans import SCAN_SUFFIXES, scan_stem

LOOSE = "."
"""Name of the arrival of all files that no name binds to a scan, such as those of DICOM."""
_CHANNEL = re.compile(r"_\d{4}$")
_UNFINISHED = re.compile(r"(^[.~])|(\.(part|partial|filepart|tmp|temp|crdownload|download|swp|lck)$)|~$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A folder of the inbox, or files there that belong together.

    Attributes:
        name: Name of the folder, or what the names of the files share.
        paths: The folder alone, or the files.
        stamp: Checksum of the names, sizes and times of all its files, which changes while it is being written.
        unfinished: Name of a file that its sender has not finished yet; "" if there is none.
    """

    name: str
    paths: tuple[Path, ...]
    stamp: str
    unfinished: str = ""


def list_arrivals(inbox: Path, *, without: Path, marker: str = "") -> list[Arrival]:
    """Everything in the inbox, by its name.

    Args:
        inbox: Folder in which scans arrive.
        without: Folder of the masks, which may lie there.
        marker: Ending of an empty file by which a sender says that all has arrived: `scan.nii.gz.done`, `study.done`
            or `study/.done` for `.done`; "" if nothing says so.
    """
    with os.scandir(inbox) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    folders = [Path(one.path) for one in entries if one.is_dir() and not _is_passed(Path(one.path), without)]
    files = [Path(one.path) for one in entries if not one.is_dir()]
    names = {path.name for path in files}
    marks = {path for path in files if marker and path.name.endswith(marker)}
    found = [_of_folder(path) for path in folders]
    found += _of_files([path for path in files if path not in marks])
    return [_marked(one, inbox, names, marker) for one in found] if marker else found


def _is_passed(folder: Path, without: Path) -> bool:
    return folder.name.startswith(".") or folder.resolve() == without.resolve()


def _of_folder(folder: Path) -> Arrival:
    facts = sorted(_facts_below(folder))
    unfinished = next((Path(name).name for name, *_ in facts if _UNFINISHED.search(Path(name).name)), "")
    return Arrival(folder.name, (folder,), _digest(facts), unfinished)


def _of_files(files: Sequence[Path]) -> Iterator[Arrival]:
    """Scans of one file or of one for each channel, with what belongs to them; then all other files as one."""
    unfinished = [path for path in files if _UNFINISHED.search(path.name)]
    groups: dict[str, list[Path]] = defaultdict(list)
    known = set(unfinished)
    for path in files:
        if path not in known and path.name.lower().endswith(SCAN_SUFFIXES):
            groups[_CHANNEL.sub("", scan_stem(path))].append(path)
    for group in groups.values():
        known.update(with_voxel_files(group))
    rest = [path for path in files if path not in known]
    for name, group in {**groups, **({LOOSE: rest} if rest else {})}.items():
        partial = next((path.name for path in unfinished if path.name.lstrip(".~").startswith(group[0].name)), "")
        yield Arrival(name, tuple(group), _digest(sorted(map(_facts, with_voxel_files(group)))), partial)


def _facts_below(folder: Path) -> Iterator[tuple[str, int, int]]:
    locked: list[str] = []
    for parent, _, names in os.walk(folder, onerror=lambda error: locked.append(str(error.filename)), followlinks=True):
        yield from (_facts(Path(parent) / name) for name in names)
    yield from ((name, -1, 0) for name in locked)  # so that it is taken again once it can be read


def _facts(path: Path) -> tuple[str, int, int]:
    """Path, size and time of a file; of one that is gone or locked the path alone."""
    try:
        found = path.stat()
    except OSError:
        return str(path), -1, 0
    return str(path), found.st_size, found.st_mtime_ns


def _digest(facts: Sequence[tuple[str, int, int]]) -> str:
    return hashlib.sha256("".join(f"{fact!r}\n" for fact in facts).encode("utf-8", "surrogateescape")).hexdigest()


def _marked(arrival: Arrival, inbox: Path, names: set[str], marker: str) -> Arrival:
    """The arrival; unfinished as long as its mark is missing."""
    first = arrival.paths[0]
    own = {f"{path.name}{marker}" for path in arrival.paths} | {f"{arrival.name}{marker}"}
    is_marked = bool(own & names) or (first.is_dir() and (first / marker).exists())
    if arrival.name == LOOSE:
        is_marked = marker in names
    unfinished = "" if _only_marker(arrival.unfinished, marker) else arrival.unfinished
    return replace(arrival, unfinished=unfinished if is_marked else f"{arrival.name}{marker}")


def _only_marker(name: str, marker: str) -> bool:
    return name == marker
