"""Copies among the files of a series, under the same UID or another: each slice counts once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medseg.errors import ScanError
from medseg.scans.dicom.frame import Marks
from medseg.scans.dicom.instance import Instance
from medseg.scans.dicom.pixels import read_pixels
from medseg.scans.dicom.plane_values import plane_values

_AGAIN = "{} file(s) are copies of others of the series and were left out"
_DAMAGED = "{} file(s) cannot be read and were left out, since whole ones lie at their places"
_RENAMED = "{} file(s) hold the pixels of others at their places under UIDs of their own and were left out as copies"


class Unique(NamedTuple):
    """Files of a series without their copies.

    Attributes:
        instances: Files that are kept, in their order.
        left_out: Files that are not.
        notes: Clauses about those that are left out.
    """

    instances: list[Instance]
    left_out: tuple[Instance, ...] = ()
    notes: tuple[str, ...] = ()


def without_copies(group: Sequence[Instance]) -> Unique:
    """Keep one of the files that share a UID and a place, a whole one if some are damaged.

    Files whose pixels differ are no copies, although their UIDs say so, and are all kept; so are files without a UID.
    """
    sets: dict[tuple[object, ...], list[Instance]] = defaultdict(list)
    for instance in group:
        key = (instance.sop_uid, *(frame.position_mm for frame in instance.frames))
        sets[key if instance.sop_uid else (instance.path,)].append(instance)
    choices = [_choose(members) for members in sets.values()]
    return _unique(group, choices, _AGAIN)


def without_renamed_copies(group: Sequence[Instance]) -> Unique:
    """Keep one of the files that hold the same pixels at the same place, as exports write them under new UIDs.

    Files are candidates if nothing but UID, file time and coding tells them apart. They are copies only if afterwards
    every place holds equally many; otherwise some slices may look alike by chance, such as empty ones, and all stay.
    """
    sets: dict[tuple[object, ...], list[Instance]] = defaultdict(list)
    for instance in group:
        sets[_place(instance)].append(instance)
    largest = max(sets.values(), key=len, default=[])
    if len(largest) < 2 or _choose(largest).is_all:
        return Unique(list(group))
    choices = [_choose(members) for members in sets.values()]
    if len({len(choice.kept) for choice in choices}) > 1:
        return Unique(list(group))
    return _unique(group, choices, _RENAMED)


def count_copies(group: Sequence[Instance]) -> int:
    """Number of files that hold the same pixels as another one at the same place."""
    sets: dict[tuple[object, ...], list[Instance]] = defaultdict(list)
    for instance in group:
        sets[_place(instance)].append(instance)
    return sum(len(members) - len(_choose(members).kept) for members in sets.values())


class _Choice(NamedTuple):
    """Files of one place with different pixels, copies of them, and files that cannot be read."""

    kept: list[Instance]
    copies: list[Instance]
    damaged: list[Instance]

    @property
    def is_all(self) -> bool:
        return not self.copies and not self.damaged


def _choose(members: list[Instance]) -> _Choice:
    """The first readable file of each content; the first file of all if none can be read."""
    if len(members) < 2:
        return _Choice(members, [], [])
    if len({_file_digest(one.path) for one in members}) == 1:
        return _Choice(members[:1], members[1:], [])
    seen: set[str] = set()
    choice = _Choice([], [], [])
    for one in members:
        digest = _pixel_digest(one)
        if not digest:
            choice.damaged.append(one)
        elif digest in seen:
            choice.copies.append(one)
        else:
            choice.kept.append(one)
        seen.add(digest)
    return choice if choice.kept else _Choice(members[:1], members[1:], [])


def _unique(group: Sequence[Instance], choices: Sequence[_Choice], words: str) -> Unique:
    copies = [one for choice in choices for one in choice.copies]
    damaged = [one for choice in choices for one in choice.damaged]
    out = {id(one) for one in (*copies, *damaged)}
    notes = [text.format(len(files)) for text, files in ((words, copies), (_DAMAGED, damaged)) if files]
    return Unique([one for one in group if id(one) not in out], (*copies, *damaged), tuple(notes))


def _place(instance: Instance) -> tuple[object, ...]:
    """Everything that a copy has in common with its original."""
    if not all(frame.position_mm for frame in instance.frames):
        return (instance.path,)
    planes = tuple(
        (frame.position_mm, frame.orientation, frame.spacing_mm, _lasting(frame.marks)) for frame in instance.frames
    )
    return (instance.rows, instance.columns, instance.channels, *planes)


def _lasting(marks: Marks) -> Marks:
    """Marks that an export leaves as they are."""
    return marks._replace(file="", content_time="", coding="")


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return f"unreadable {path}"


def _pixel_digest(instance: Instance) -> str:
    """SHA-256 of a file's meaningful values; "" if they cannot be read."""
    try:
        stored = read_pixels(instance.path)
        planes = [plane_values(stored, frame) for frame in instance.frames]
    except (ScanError, MemoryError):
        return ""
    digest = hashlib.sha256(str([plane.shape for plane in planes]).encode())
    for plane in planes:
        digest.update(np.ascontiguousarray(plane, dtype=np.float64).data)
    return digest.hexdigest()
