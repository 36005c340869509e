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
from medseg.ingest.source_files import HIDDEN, SPECIAL
from medseg.runs.segmentation.watch.listing import FileFacts, facts_below, facts_of, is_of_a_system, is_unfinished
from medseg.scans import SCAN_SUFFIXES, scan_stem
from medseg.text import printable

LOOSE = "."
"""Name of the arrival of all files that no name binds to a scan, such as those of DICOM."""
_CHANNEL = re.compile(r"_\d{4}$")
_NOT_WHOLE = "has the name of an unfinished upload"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A folder of the inbox, or files there that belong together.

    Attributes:
        name: Name of the folder, or what the names of the files share.
        paths: The folder alone, or the files; empty if nothing of it is to be read.
        stamp: Checksum of the names, sizes and times of all its files, which changes while it is being written.
        unfinished: Reason why it is not complete, as its sender has left it, after its name; "" if there is none.
        no_case: Reason why it is no case; "" if it may be one.
    """

    name: str
    paths: tuple[Path, ...]
    stamp: str
    unfinished: str = ""
    no_case: str = ""


def list_arrivals(inbox: Path, *, without: Path, marker: str = "") -> list[Arrival]:
    """Everything in the inbox, by its name, which no two share.

    Args:
        inbox: Folder in which scans arrive.
        without: Folder of the masks, which may lie there.
        marker: Ending of an empty file by which a sender says that all has arrived: `scan.nii.gz.done`, `study.done`
            or `study/.done` for `.done`; "" if nothing says so.
    """
    with os.scandir(inbox) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    folders = [Path(one.path) for one in entries if one.is_dir()]
    marks = {one.name for one in entries if marker and one.name.endswith(marker)}
    files = [one for one in entries if not one.is_dir() and one.name not in marks]
    found = [_of_folder(path, without, marker) for path in folders if path.resolve() != without.resolve()]
    taken = {one.name for one in found}
    found += [
        replace(one, name=printable(one.paths[0].name)) if one.name in taken and one.paths else one
        for one in _of_files(files)
    ]
    return [_marked(one, marks, marker) for one in found] if marker else found


def _of_folder(folder: Path, without: Path, marker: str) -> Arrival:
    name = printable(folder.name)
    if is_of_a_system(folder.name) or folder.name.startswith("."):
        return Arrival(name, (), _digest(()), no_case=HIDDEN)
    facts = sorted(facts_below(folder, without=without))
    names = (os.path.basename(one.path) for one in facts)  # noqa: PTH119  # of strings, as there are many
    partial = next((one for one in names if one != marker and is_unfinished(one)), "")
    return Arrival(name, (folder,), _digest(facts), f"holds {printable(partial)}" if partial else "")


def _of_files(entries: Sequence[os.DirEntry[str]]) -> Iterator[Arrival]:
    """Files that are whole by their groups, those that are not, and those that are no case."""
    no_cases = {one.name: reason for one in entries if (reason := _no_case(one))}
    partial = [Path(one.path) for one in entries if one.name not in no_cases and is_unfinished(one.name)]
    names = {path.name for path in partial}
    whole = [Path(one.path) for one in entries if one.name not in no_cases and one.name not in names]
    waited: set[Path] = set()
    for name, group in _groups(whole).items():
        own = [path for path in partial if name != LOOSE and _belongs(path.name, name)]
        waited.update(own)
        stamp = _digest(sorted(map(facts_of, with_voxel_files(group))))
        yield Arrival(printable(name), tuple(group), stamp, f"holds {printable(own[0].name)}" if own else "")
    for path in partial:
        if path not in waited:
            yield Arrival(printable(path.name), (), _digest([facts_of(path)]), unfinished=_NOT_WHOLE)
    for name, reason in no_cases.items():
        yield Arrival(printable(name), (), _digest(()), no_case=reason)


def _groups(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Scans of one file or of one for each channel, by what their names share; then all files that belong to none."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        if path.name.lower().endswith(SCAN_SUFFIXES):
            groups[_CHANNEL.sub("", scan_stem(path))].append(path)
    known = {path for group in groups.values() for path in with_voxel_files(group)}
    rest = [path for path in files if path not in known]
    return groups | ({LOOSE: rest} if rest else {})


def _no_case(entry: os.DirEntry[str]) -> str:
    """Reason why a file is no case and is never opened; "" if it may be one."""
    if is_of_a_system(entry.name):
        return HIDDEN
    return SPECIAL if not entry.is_file() and Path(entry.path).exists() else ""


def _belongs(partial: str, stem: str) -> bool:
    """Whether an unfinished file becomes one of a scan's, by their names."""
    final = partial.lstrip(".~")
    return final.startswith((f"{stem}.", f"{stem}_"))


def _digest(facts: Sequence[FileFacts]) -> str:
    text = "".join(f"{tuple(fact)!r}\n" for fact in facts)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _marked(arrival: Arrival, marks: set[str], marker: str) -> Arrival:
    """The arrival; unfinished as long as its mark is missing."""
    if not arrival.paths:
        return arrival
    first = arrival.paths[0]
    own = {f"{path.name}{marker}" for path in arrival.paths} | {f"{arrival.name}{marker}"}
    is_marked = bool(own & marks) or (first.is_dir() and (first / marker).exists())
    if arrival.name == LOOSE:
        is_marked = marker in marks
    return arrival if is_marked else replace(arrival, unfinished=f"waits for {arrival.name}{marker}")
