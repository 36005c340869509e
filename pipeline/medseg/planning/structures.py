"""Components and neighbours of the labels of a few cases."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from medseg.cohort import TWO_THREADS, Executor, run_cases
from medseg.manifest import case_target, read_case_label
from medseg.records import Array, Case, Labelmap, Manifest

MOST_CASES = 8
_AT_ONCE = 2
_TOUCHING = np.ones((3, 3, 3), bool)  # at a face, an edge or a corner


@dataclass(frozen=True, slots=True)
class LabelStructures:
    """Components and neighbours of the labels of one case.

    Attributes:
        components: Number of components of each label value that has a voxel.
        neighbours: Pairs of label values, the smaller first, that share a face of a voxel.
    """

    components: Mapping[int, int]
    neighbours: frozenset[tuple[int, int]]


def take_structures(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    limit_s: float = 30.0,
    executor: Executor = TWO_THREADS,
) -> tuple[LabelStructures, ...]:
    """Structures of at most `MOST_CASES` cases from all over the list, those left out whose label cannot be read.

    A hundred labels of a large CT take a core about four seconds; fewer cases are looked at where time is short.

    Args:
        cases: Training cases.
        manifest: Manifest of the cases.
        root: Data root.
        limit_s: Seconds after which no further case is begun, the first two apart.
        executor: Executor of the work, case by case.
    """
    chosen = [cases[n] for n in np.linspace(0, len(cases) - 1, min(len(cases), MOST_CASES)).round().astype(int)]
    read = partial(_case_structures, manifest=manifest, root=root)
    found: list[LabelStructures] = []
    start = time.monotonic()
    for first in range(0, len(chosen), _AT_ONCE):
        if first and time.monotonic() - start >= limit_s:
            break
        found += run_cases(chosen[first : first + _AT_ONCE], read, stage="plan", executor=executor).results
    return tuple(found)


def _case_structures(case: Case, manifest: Manifest, root: Path) -> LabelStructures:
    label, _ = read_case_label(case, manifest, root)
    return structures_of(case_target(case, manifest).annotated(label))


def structures_of(label: Labelmap) -> LabelStructures:
    """Components and neighbours of the labels of a map.

    Voxels of one component touch at a face, an edge or a corner. Each label is looked at in its own bounding box.

    Args:
        label: Label values from 0, shape `(I, J, K)`.
    """
    label = label if label.flags.c_contiguous else label.T  # SciPy reads arrays in memory order several times faster
    components: dict[int, int] = {}
    lows, highs = [], []
    for value, box in enumerate(ndimage.find_objects(label), start=1):
        if box is None:
            continue
        components[value] = int(ndimage.label(label[box] == value, _TOUCHING)[1])
        lows.append([side.start for side in box])
        highs.append([side.stop for side in box])
    if not components:
        return LabelStructures({}, frozenset())
    filled = tuple(slice(a, b) for a, b in zip(np.min(lows, axis=0), np.max(highs, axis=0), strict=True))
    return LabelStructures(components, frozenset(_neighbours(label[filled])))


def _neighbours(label: Labelmap) -> set[tuple[int, int]]:
    """Pairs of different values above 0 on both sides of a face."""
    pairs: set[tuple[int, int]] = set()
    for axis in range(3):
        before, after = _ends(label, axis)
        touch = (before != after) & (before > 0) & (after > 0)
        found = np.sort(np.stack([before[touch], after[touch]], axis=1), axis=1)
        pairs |= {(int(low), int(high)) for low, high in np.unique(found, axis=0)} if len(found) else set()
    return pairs


def _ends(label: Labelmap, axis: int) -> tuple[Array, Array]:
    """The map without its last and without its first layer along an axis."""
    along = np.moveaxis(label, axis, 0)
    return along[:-1], along[1:]
