"""Volumes at the same places told apart: by marks in their headers, by folder, or by the order of their slices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from medseg.scans.dicom.frame import Frame, Marks
from medseg.scans.dicom.planes import Problem, Vector, same_position_mm


class Part(NamedTuple):
    """Frames that may be a volume, the marks that separate them from the others, and what forbids to make it."""

    frames: list[Frame]
    marks: tuple[str, ...] = ()
    problem: Problem | None = None


_MARKS = tuple(mark for mark in Marks._fields if mark != "coding")
_Split = Callable[[list[Frame], list[list[Frame]]], bool]
_Key = tuple[str, int, int]
# Places in an order that a series may have been taken in; equal ones where the headers do not say.
_ORDERS: dict[str, Callable[[Frame], _Key]] = {
    "acquisition_time_order": lambda frame: (frame.marks.acquisition_time, 0, 0),
    "content_time_order": lambda frame: (frame.marks.content_time, 0, 0),
    "instance_number_order": lambda frame: ("", frame.number or 0, frame.index),
}


def separate(frames: list[Frame], *, by_folder: bool = False) -> list[Part]:
    """Split frames until each position occurs once: by marks that separate all, then by those that help, then by order.

    Args:
        frames: Frames of one orientation, size and spacing.
        by_folder: Whether a folder tells volumes apart, since no patient id says that they are of one patient.

    Returns:
        Parts; those that nothing clearly tells apart still repeat positions.
    """
    if any(frame.position_mm is None for frame in frames):
        return [Part(frames)]
    parts = [Part(frames)]
    for accepts in (_is_complete, _is_unique):
        for mark in _MARKS:
            parts = [piece for part in parts for piece in _split(part, mark, _value_of(mark), accepts)]
        if by_folder:
            parts = [piece for part in parts for piece in _split(part, "folder", _folder, accepts)]
    parts = [piece for part in parts for piece in _by_order(part)]
    for accepts in (_is_complete, _is_unique):
        parts = [piece for part in parts for piece in _split(part, "coding", _value_of("coding"), accepts)]
    return parts


def _value_of(mark: str) -> Callable[[Frame], str]:
    return lambda frame: str(getattr(frame.marks, mark))


def _folder(frame: Frame) -> str:
    return str(frame.path.parent)


def _split(part: Part, mark: str, value: Callable[[Frame], str], accepts: _Split) -> list[Part]:
    if _distinct(part.frames) == len(part.frames):
        return [part]
    groups: dict[str, list[Frame]] = defaultdict(list)
    for frame in part.frames:
        groups[value(frame)].append(frame)
    pieces = [groups[key] for key in sorted(groups, key=_by_value)]
    if len(pieces) < 2 or not accepts(part.frames, pieces):
        return [part]
    return [Part(piece, (*part.marks, mark)) for piece in pieces]


def _is_complete(frames: list[Frame], pieces: list[list[Frame]]) -> bool:
    """Whether each piece covers all positions of the whole, as time points, echoes and b-values do."""
    positions = _distinct(frames)
    return positions > 1 and all(_distinct(piece) == positions for piece in pieces)


def _is_unique(frames: list[Frame], pieces: list[list[Frame]]) -> bool:
    """Whether no piece repeats a position and pieces are few, as acquisitions that overlap in part."""
    few = len(pieces) <= 2 * -(-len(frames) // max(_distinct(frames), 1))
    return few and all(len(piece) > 1 and _distinct(piece) == len(piece) for piece in pieces)


def _by_order(part: Part) -> list[Part]:
    """Volumes that follow each other in time or number, if every position holds as many slices as all others."""
    stacks = _stacks(part.frames)
    count = len(stacks[0])
    if count < 2 or len(stacks) < 2 or any(len(stack) != count for stack in stacks):
        return [part]
    for name, order in _ORDERS.items():
        ranks = _ranks(stacks, order)
        if ranks is not None:
            return [Part(frames, (*part.marks, name)) for frames in ranks]
    return [part]


def _ranks(stacks: list[list[Frame]], order: Callable[[Frame], _Key]) -> list[list[Frame]] | None:
    """Volumes by the order of the slices at each position; None where that order leaves a doubt.

    There is none if one volume ends before the next begins, or if all slices of one position come before those of the
    next one.
    """
    if any(len({order(frame) for frame in stack}) < len(stack) for stack in stacks):
        return None
    ordered = [sorted(stack, key=order) for stack in stacks]
    volumes = [list(frames) for frames in zip(*ordered, strict=True)]
    return volumes if _follow(volumes, order) or _follow(ordered, order) else None


def _follow(groups: list[list[Frame]], order: Callable[[Frame], _Key]) -> bool:
    """Whether groups of slices follow each other without a slice of one among those of another."""
    spans = sorted((min(places), max(places)) for places in ([order(frame) for frame in group] for group in groups))
    return all(before[1] < after[0] for before, after in pairwise(spans))


def _stacks(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames by position along their main direction."""
    depths = _depths(frames)
    order = np.argsort(depths, kind="stable")
    starts = np.concatenate([[True], np.diff(depths[order]) > same_position_mm(frames[0].spacing_mm)])
    stacks: list[list[Frame]] = []
    for index, is_start in zip(order, starts, strict=True):
        if is_start:
            stacks.append([])
        stacks[-1].append(frames[index])
    return stacks


def _distinct(frames: Sequence[Frame]) -> int:
    """Number of different positions of frames along their main direction."""
    return 1 + int(np.count_nonzero(np.diff(np.sort(_depths(frames))) > same_position_mm(frames[0].spacing_mm)))


def _depths(frames: Sequence[Frame]) -> Vector:
    positions = np.array([frame.position_mm for frame in frames], dtype=np.float64)
    orientation = frames[0].orientation
    normal = np.cross(orientation[:3], orientation[3:]) if orientation else np.array([0.0, 0.0, 1.0])
    depths: Vector = positions @ normal
    return depths


def _by_value(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return 0.0, value
