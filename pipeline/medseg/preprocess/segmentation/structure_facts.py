"""Facts about the structures of a label or mask by which they can be compared with others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from medseg.configuration import Config
from medseg.geometry import significant
from medseg.preprocess.body import inside
from medseg.preprocess.grid import Box
from medseg.records import Array, Mask
from medseg.targets import ExclusiveLabels, VoxelTarget

_MOST_VOXELS = 500_000  # of a box in which parts are told apart
_TOUCHING = np.ones((3, 3, 3), bool)  # at a face, an edge or a corner


class StructureFacts(Config):
    """One structure of a label or mask.

    Attributes:
        voxels: Number of its voxels.
        touches_border: Whether it reaches the first or last layer of the scan along an axis with more than one voxel.
        parts: Number of parts that touch each other nowhere, not at a corner either.
        main_share: Share of its voxels that lie in the largest part.
    """

    voxels: int
    touches_border: bool
    parts: int
    main_share: float


def structure_facts(array: Array, target: VoxelTarget) -> dict[str, StructureFacts]:
    """Facts of every structure that has a voxel, by name.

    Parts are told apart in the bounding box of the structure. A box of more than half a million voxels is made coarser
    first, where a coarse voxel belongs to the structure if any of its voxels does: gaps thinner than a coarse voxel
    then count as closed, so that too few parts are found, and never too many.

    Args:
        array: Native array of the target, such as label values `(I, J, K)`.
        target: Meaning of its values.
    """
    if isinstance(target, ExclusiveLabels) and not array.flags.c_contiguous:
        array = array.T  # no fact depends on the order of the axes, and reading in memory's order is much faster
    found = {}
    for name, box, shape in _boxes(array, target):
        shown = target.shows(inside(array, box), name)
        parts, main_share = _parts(shown)
        touches = any(side.start == 0 or side.stop == size for side, size in zip(box, shape, strict=True) if size > 1)
        found[name] = StructureFacts(
            voxels=int(np.count_nonzero(shown)), touches_border=touches, parts=parts, main_share=main_share
        )
    return found


def _boxes(array: Array, target: VoxelTarget) -> Iterator[tuple[str, Box, tuple[int, ...]]]:
    """Name, bounding box and size of the grid for every structure that has a voxel."""
    from scipy import ndimage

    if isinstance(target, ExclusiveLabels):
        boxes = dict(enumerate(ndimage.find_objects(array), start=1))
        for name, value in target.foreground.items():
            box = boxes.get(value)
            if box is not None:
                yield name, _box(box), array.shape
        return
    for name in target.structures:
        shown = target.shows(array, name)
        for box in ndimage.find_objects(shown.view(np.uint8)):
            yield name, _box(box), shown.shape


def _box(sides: Sequence[slice]) -> Box:
    i, j, k = (range(side.start, side.stop) for side in sides)
    return i, j, k


def _parts(shown: Mask) -> tuple[int, float]:
    """Number of parts, and the share of the voxels that the largest one holds."""
    from scipy import ndimage

    coarse = _coarser(shown)
    labelled, count = ndimage.label(coarse > 0, _TOUCHING)
    if count == 1:
        return 1, 1.0
    sizes = np.bincount(labelled.ravel(), weights=coarse.ravel())[1:]
    return int(count), significant(float(sizes.max() / sizes.sum()), 4)


def _coarser(shown: Mask) -> Array:
    """Number of the structure's voxels in each coarse voxel, `(I, J, K)`; the voxels themselves where they are few."""
    factor = 1
    while math.prod(-(-size // factor) for size in shown.shape) > _MOST_VOXELS:
        factor += 1
    if factor == 1:
        return shown
    counts: Array = shown.view(np.uint8) if factor**3 < 256 else shown.astype(np.uint32)
    for axis in range(3):
        counts = _added(counts, axis, factor)
    return counts


def _added(counts: Array, axis: int, factor: int) -> Array:
    """Sums of so many neighbours along an axis; fewer at its end."""
    layers = np.moveaxis(counts, axis, 0)
    total = layers[::factor].copy()
    for first in range(1, factor):
        part = layers[first::factor]
        total[: len(part)] += part
    return np.moveaxis(total, 0, axis)
