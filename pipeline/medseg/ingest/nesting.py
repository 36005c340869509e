"""The order of structures in which none covers another one, such as a target's margin over the target."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from medseg.cohort import CASE_ERRORS
from medseg.geometry import Geometry
from medseg.ingest.label_source import LabelSource
from medseg.records import Array, Mask
from medseg.scans.dicom import Extent, label_extents

_ROUNDING = 0.1  # of a voxel, by which outlines and masks of one object may differ
_SMALLER = 0.9  # of the size: two of about the same size and place hold neither


def drawing_order(
    cases: Iterable[tuple[Geometry, Sequence[LabelSource]]], rename: Callable[[str], str]
) -> tuple[str, ...]:
    """Names of structures that lie within others, and of those others, from the lowest to the topmost.

    A structure counts as held by another if its box is and if it is smaller. Where cases disagree, most of them decide.

    Args:
        cases: Grid and labels of each image.
        rename: Name of a structure as the mapping gives it.
    """
    votes: Counter[tuple[str, str]] = Counter()
    for grid, labels in cases:
        rounding_mm = _ROUNDING * min(grid.spacing_mm)
        votes.update({(rename(outer), rename(inner)) for outer, inner in _held(labels, rounding_mm)})
    above: dict[str, set[str]] = defaultdict(set)
    for (outer, inner), count in votes.items():
        if outer != inner and count > votes[inner, outer]:
            above[outer].add(inner)
    return _sorted(above)


def _held(labels: Sequence[LabelSource], rounding_mm: float) -> Iterable[tuple[str, str]]:
    """Pairs of an outer and an inner structure of one image."""
    if sum(len(label.names) for label in labels) < 2:
        return
    found = [(number, extent) for number, label in enumerate(labels) for extent in _extents(label)]
    if not found:
        return
    source_of = np.array([number for number, _ in found])
    names = [extent.name for _, extent in found]
    sizes, boxes = np.array([extent.size for _, extent in found]), np.array([extent.box for _, extent in found])
    spans = (boxes[:, 1] - boxes[:, 0]).clip(min=rounding_mm).prod(axis=1)
    is_smaller = _is_smaller(sizes, spans, source_of, [label.label_object is None for label in labels])
    is_smaller &= (source_of[:, None] != source_of) | np.array([_may_overlap(label) for label in labels])[source_of]
    is_within = (boxes[None, :, 0] >= boxes[:, None, 0] - rounding_mm) & (
        boxes[None, :, 1] <= boxes[:, None, 1] + rounding_mm
    )
    for outer, inner in np.argwhere(is_within.all(axis=2) & is_smaller):
        yield names[outer], names[inner]


def _is_smaller(sizes: Array, spans: Array, source_of: Array, is_file: Sequence[bool]) -> Mask:
    """Whether the second of two structures is smaller; sizes of two DICOM objects are counted in different ways."""
    of_files = np.array(is_file)[source_of]
    is_comparable = (source_of[:, None] == source_of) | (of_files[:, None] & of_files)
    return np.where(is_comparable, sizes[:, None] * _SMALLER > sizes, spans[:, None] * _SMALLER > spans)


def _may_overlap(label: LabelSource) -> bool:
    """Whether two structures of one label may share voxels, unlike two values of one mask."""
    return label.label_object is not None or bool(label.segments)


def _extents(label: LabelSource) -> tuple[Extent, ...]:
    """The extents of a label; none of an object that cannot be drawn, which its case reports."""
    try:
        return label_extents(label.label_object) if label.label_object is not None else label.extents
    except CASE_ERRORS:
        return ()


def _sorted(above: dict[str, set[str]]) -> tuple[str, ...]:
    """Names in an order in which each stands before those above it; cycles are broken at the first name."""
    left = sorted({*above, *(name for names in above.values() for name in names)})
    order: list[str] = []
    while left:
        held = {name for outer in left for name in above.get(outer, ())}
        free = [name for name in left if name not in held] or left[:1]
        order += free
        left = [name for name in left if name not in free]
    return tuple(order)
