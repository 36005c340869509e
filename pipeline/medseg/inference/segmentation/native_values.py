"""Probabilities of one model on the slices of a scan's own grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from medseg.inference.segmentation.value_planes import PreparedMember, ValuePlanes
from medseg.preprocess.resample import resample_linear
from medseg.targets import VoxelTarget


class Course(NamedTuple):
    """Order in which the slices of a scan follow each other.

    Attributes:
        axis: Axis of the scan.
        is_falling: Whether the last slice comes first.
    """

    axis: int
    is_falling: bool

    @classmethod
    def of(cls, member: PreparedMember, planes: ValuePlanes) -> Course:
        """Order in which a model's planes are finished."""
        maps = member.native.axis_maps(planes.grid)
        return next(cls(n, one.scale < 0) for n, one in enumerate(maps) if one.source_axis == planes.axis)


class NativeValues:
    """Interpolates a model's planes to slices of the scan's own grid, which are taken in rising or falling order.

    Only the planes that later slices need are kept. Where the model's planes follow each other along another axis or
    the other way round, all of them are, which takes memory for the model's whole grid.

    Args:
        member: Prepared scan of the model, with a box that is not empty.
        planes: Values of its box.
        target: Meaning of the averaged probabilities.
        course: Order in which slices are taken.
    """

    def __init__(self, member: PreparedMember, planes: ValuePlanes, target: VoxelTarget, course: Course) -> None:
        self._planes = planes
        self._member, self._target, self._along = member, target, course.axis
        axis_map = member.native.axis_maps(self._planes.grid)[course.axis]
        self._axis = axis_map.source_axis
        size = self._planes.grid.shape[self._axis]
        slices = np.arange(member.native.shape[course.axis])
        self._positions = np.clip(axis_map.offset + axis_map.scale * slices, 0, size - 1)
        self._chunks = iter(self._planes.chunks)
        self._held: list[Tensor] = []
        self._first = self._stop = 0
        self._is_whole = Course.of(member, planes) != course

    @property
    def held_bytes(self) -> int:
        """Memory for all planes and the chunks that they come in, where they must be held at a time; else 0."""
        return 2 * 4 * self._target.channels * math.prod(self._planes.grid.shape) if self._is_whole else 0

    def take(self, slices: range) -> Tensor:
        """Probabilities `(channels, I, J, K)` of some slices of the whole scan; background outside the box."""
        box, along = self._member.box, self._along
        shape = [len(slices) if axis == along else size for axis, size in enumerate(self._member.shape)]
        wanted = range(max(slices.start, box[along].start), min(slices.stop, box[along].stop))
        if not wanted:
            return background(self._target, shape)
        values = self._interpolated(range(wanted.start - box[along].start, wanted.stop - box[along].start))
        if list(values.shape[1:]) == shape:
            return values
        whole = background(self._target, shape).to(values.device)
        place = [slice(extent.start, extent.stop) for extent in box]
        place[along] = slice(wanted.start - slices.start, wanted.stop - slices.start)
        whole[(slice(None), *place)] = values
        return whole

    def _interpolated(self, wanted: range) -> Tensor:
        """Probabilities of some slices of the box."""
        positions = self._positions[wanted.start : wanted.stop]
        low, high = math.floor(positions.min()), math.ceil(positions.max()) + 1
        held = self._up_to(low, high)
        values = resample_linear(
            held.narrow(self._axis + 1, low - self._first, high - low),
            self._planes.grid.cropped(self._axis, range(low, high)),
            self._member.native.cropped(self._along, wanted),
        )
        return values if self._planes.target == self._target else self._target.activate(values)

    def _up_to(self, low: int, high: int) -> Tensor:
        """Planes from the first that is needed, or an earlier one, to the last; all of them where they are held."""
        if self._is_whole:
            if not self._held:
                self._held = [torch.cat(list(self._chunks), dim=self._planes.axis + 1)]
            return self._held[0]
        while self._stop < high:
            chunk = next(self._chunks)
            self._held.append(chunk)
            self._stop += chunk.shape[self._axis + 1]
        held = torch.cat(self._held, dim=self._axis + 1) if len(self._held) > 1 else self._held[0]
        if low > self._first:
            held = held.narrow(self._axis + 1, low - self._first, self._stop - low).clone()
            self._first = low
        self._held = [held]
        return held


def background(target: VoxelTarget, shape: Sequence[int]) -> Tensor:
    """Probabilities `(channels, *shape)` where a model sees nothing."""
    values = torch.zeros(target.channels, *shape)
    if target.channel_values is not None and 0 in target.channel_values:
        values[target.channel_values.index(0)] = 1
    return values
