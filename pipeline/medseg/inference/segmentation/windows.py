"""The layout of windows on a grid: their places, their order, and when a plane of the grid is finished."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, product

from medseg.inference.segmentation.config import InferenceConfig
from medseg.preprocess import Box

Voxel = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Visit:
    """One forward pass: windows of one flipped copy.

    Attributes:
        copy: Index of the flipped copy among the layout's.
        starts: First voxel of each window, on the unflipped grid; negative where the image is padded.
        finished: Plane of the streaming axis before which nothing changes any more, after each window.
    """

    copy: int
    starts: tuple[Voxel, ...]
    finished: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WindowLayout:
    """All windows that touch a box of a grid, in an order that finishes the box plane by plane.

    Attributes:
        patch_size: Size of a window in voxels.
        box: Voxels of the grid to compute the probabilities of.
        seen: Voxels of the grid that the windows read, without padding.
        axis: Streaming axis.
        depth: Planes along the streaming axis that are unfinished at a time.
        copies: Axes along which each flipped copy is flipped; the first copy is unflipped.
        visits: Forward passes in order.
    """

    patch_size: Voxel
    box: Box
    seen: Box
    axis: int
    depth: int
    copies: tuple[tuple[int, ...], ...]
    visits: tuple[Visit, ...]

    @property
    def buffer_shape(self) -> Voxel:
        """Voxels that must be held at a time, for each copy and class."""
        i, j, k = (self.depth if axis == self.axis else len(extent) for axis, extent in enumerate(self.box))
        return i, j, k


def lay_out_windows(
    shape: Voxel, config: InferenceConfig, *, box: Box | None = None, axis: int | None = None
) -> WindowLayout:
    """Lay windows as MONAI's `sliding_window_inference` does on the whole grid, and keep those that touch a box.

    A flipped copy has MONAI's windows on the flipped volume, so in unflipped voxels they are mirrored. An image that is
    smaller than the window is padded on both sides, with the odd voxel at the end (of the flipped copy). All of the
    whole grid's windows that touch the box are kept, so the box's probabilities are the same as without a box.

    Args:
        shape: Voxels of the grid.
        config: Window, overlap, windows per forward pass and flips.
        box: Voxels to compute, at least one along each axis; the whole grid if not given.
        axis: Streaming axis; the axis with the fewest unfinished voxels if not given.
    """
    box = box or (range(shape[0]), range(shape[1]), range(shape[2]))
    patch = config.patch_size
    axis = _streaming_axis(box, patch) if axis is None else axis
    copies = tuple(
        axes for count in range(len(config.mirror_axes) + 1) for axes in combinations(config.mirror_axes, count)
    )
    windows = [_windows(shape, config, box, axis=axis, flipped=flipped) for flipped in copies]
    visits = _visits(windows, axis, box[axis], config.batch_size)
    return WindowLayout(
        patch_size=patch,
        box=box,
        seen=_seen(windows, patch, shape),
        axis=axis,
        depth=_depth(visits, axis, patch[axis], box[axis]),
        copies=copies,
        visits=tuple(visits),
    )


def axis_starts(size: int, patch: int, overlap: float) -> list[int]:
    """First voxels of the windows along one axis, in rising order; one negative number where the image is padded.

    They are those of MONAI's sliding window: a fixed step, but for the last window, which ends with the image.
    """
    if size <= patch:
        return [-((patch - size) // 2)]
    step = max(1, int(patch * (1 - overlap)))
    return [*range(0, size - patch, step), size - patch]


def _streaming_axis(box: Box, patch: Voxel) -> int:
    extents = [len(extent) for extent in box]
    return min(range(3), key=lambda axis: min(patch[axis], extents[axis]) * math.prod(extents) // extents[axis])


def _windows(shape: Voxel, config: InferenceConfig, box: Box, *, axis: int, flipped: tuple[int, ...]) -> list[Voxel]:
    """First voxels of one copy's windows that touch the box, in rising order along the streaming axis."""
    starts: list[list[int]] = []
    for n in range(3):
        size, patch = shape[n], config.patch_size[n]
        along = axis_starts(size, patch, config.overlap)
        along = [size - patch - start for start in reversed(along)] if n in flipped else along
        starts.append([start for start in along if start < box[n].stop and start + patch > box[n].start])
    return sorted(product(starts[0], starts[1], starts[2]), key=lambda start: start[axis])


def _visits(windows: list[list[Voxel]], axis: int, planes: range, batch_size: int) -> list[Visit]:
    """Take windows batch by batch from the copy that is furthest behind."""
    done = [0] * len(windows)
    finished = planes.start
    visits: list[Visit] = []

    def upcoming(copy: int) -> int:
        return windows[copy][done[copy]][axis] if done[copy] < len(windows[copy]) else planes.stop

    while True:
        copy = min(range(len(windows)), key=upcoming)
        starts = windows[copy][done[copy] : done[copy] + batch_size]
        if not starts:
            return visits
        marks = []
        for _ in starts:
            done[copy] += 1
            finished = max(finished, min(map(upcoming, range(len(windows)))))
            marks.append(finished)
        visits.append(Visit(copy, tuple(starts), tuple(marks)))


def _depth(visits: list[Visit], axis: int, patch: int, planes: range) -> int:
    """Most planes from the first unfinished one to the end of the window that is being added."""
    depth, finished = 0, planes.start
    for visit in visits:
        for start, mark in zip(visit.starts, visit.finished, strict=True):
            depth = max(depth, min(start[axis] + patch, planes.stop) - finished)
            finished = mark
    return depth


def _seen(windows: list[list[Voxel]], patch: Voxel, shape: Voxel) -> Box:
    """Voxels of the grid from the first to the last that a window reads."""
    starts = [start for copy in windows for start in copy]
    i, j, k = (
        range(max(0, min(s[n] for s in starts)), min(shape[n], max(s[n] for s in starts) + patch[n])) for n in range(3)
    )
    return i, j, k
