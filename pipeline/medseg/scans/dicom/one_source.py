"""Whether slices of one series UID come from one patient, where no patient id says so."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from medseg.scans.dicom.frame import Frame
from medseg.scans.dicom.instance import Instance
from medseg.scans.dicom.planes import Problem

Owners = Mapping[Path, Instance]


def is_unidentified(group: Sequence[Instance]) -> bool:
    """Whether the files name no patient, or all of them the same placeholder."""
    return not any(instance.identity.names_a_patient for instance in group)


def split_by_source(frames: list[Frame], owners: Owners) -> list[list[Frame]] | Problem:
    """Split the slices of a volume by folder where headers say that the folders are of different patients.

    Anonymisers that write constant UIDs make one series of several patients, and slices that adjoin would make one
    volume of them. Exports that spread one series over several folders number its files throughout.

    Args:
        frames: Slices of a volume of files that name no patient.
        owners: File of each path.

    Returns:
        Slices of each source, or the problem if nothing says whether there are several.
    """
    folders: dict[Path, list[Frame]] = defaultdict(list)
    for frame in frames:
        folders[frame.path.parent].append(frame)
    pieces = [folders[folder] for folder in sorted(folders)]
    studies = [{_study(owners[frame.path]) for frame in piece} for piece in pieces]
    count = len(set.union(*studies))
    if count > 1:
        return pieces if all(len(one) == 1 for one in studies) else _undecided("one study", count)
    if len(pieces) == 1:
        return _undecided("one export", 2) if _begin_again(frames) else pieces
    if _are_unique(frames):
        return [frames]
    return pieces if all(_are_unique(piece) for piece in pieces) else _undecided("one folder", len(pieces))


def _study(instance: Instance) -> tuple[object, ...]:
    """What all files of a series have in common."""
    identity = instance.identity
    return instance.study_date, instance.scanner, identity.institution, identity.others


def _begin_again(frames: Sequence[Frame]) -> bool:
    """Whether the numbers of the files begin again, as where the files of two exports lie in one folder."""
    files = {frame.path: (frame.marks.acquisition, frame.number) for frame in frames if frame.number is not None}
    counts = Counter(files.values())
    repeated = sum(count > 1 for count in counts.values())
    return len(counts) > 1 and 2 * repeated >= len(counts)


def _are_unique(frames: Sequence[Frame]) -> bool:
    """Whether each file has an instance number of its own."""
    numbers = {frame.path: frame.number for frame in frames}
    return None not in numbers.values() and len(set(numbers.values())) == len(numbers)


def _undecided(what: str, count: int) -> Problem:
    return Problem(
        "mixed_sources",
        f"slices that name no patient must come from {what}, got {count} under one series UID, and instance numbers "
        "that do not tell whether they are of one patient",
        "move the slices of each patient into a folder of their own, and ingest these folders one by one",
    )
