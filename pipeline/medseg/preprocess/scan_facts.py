"""Facts about a scan by which it can be compared with others: its grid and its intensities."""

from __future__ import annotations

import math
from typing import Self

import numpy as np

from medseg.configuration import Config
from medseg.geometry import Geometry, Triple, significant
from medseg.preprocess.grid import flat_last
from medseg.records import Array, Scan

_ORIENTATION = "RAS"
_SAMPLES = 20_000
_NEIGHBOURS = 10_000  # pairs along each axis


class ChannelFacts(Config):
    """Intensities of one channel, from an even sample of its voxels.

    Attributes:
        p5: 5 % percentile in the scan's own units.
        p50: Median.
        p95: 95 % percentile.
        low: 1 % percentile in standard deviations from the mean.
        middle: Median in standard deviations from the mean.
        high: 99 % percentile in standard deviations from the mean.
        roughness: Mean difference between neighbouring voxels in standard deviations.
        fill: Share of voxels that have the most frequent value, such as that of the background; 1 for a constant.
        negative: Share of voxels below 0.
    """

    p5: float
    p50: float
    p95: float
    low: float
    middle: float
    high: float
    roughness: float
    fill: float
    negative: float

    @classmethod
    def of(cls, channel: Array) -> Self:
        """Facts of a channel `(I, J, K)`; numbers in standard deviations are 0 where all voxels are equal."""
        sample = np.sort(channel[_spread(channel.shape, _SAMPLES)].astype(np.float64), axis=None)
        p1, p5, p50, p95, p99 = (float(value) for value in np.percentile(sample, [1, 5, 50, 95, 99]))
        mean, deviation = float(sample.mean()), float(sample.std())
        scale = 1 / deviation if deviation > 0 else 0.0
        return cls(
            p5=_short(p5),
            p50=_short(p50),
            p95=_short(p95),
            low=_short((p1 - mean) * scale),
            middle=_short((p50 - mean) * scale),
            high=_short((p99 - mean) * scale),
            roughness=_short(_neighbour_difference(channel) * scale),
            fill=_short(float(np.unique(sample, return_counts=True)[1].max()) / len(sample)),
            negative=_short(float(np.count_nonzero(sample < 0)) / len(sample)),
        )


class ScanFacts(Config):
    """Grid and intensities of a scan.

    Attributes:
        shape: Voxels along R, A and S; the axis of a single slice comes last.
        spacing_mm: Voxel size along the same axes.
        tilt_deg: Largest angle between an axis of the grid and the nearest patient axis, from 0 to 54.7.
        channels: Intensities of each channel.
    """

    shape: tuple[int, int, int]
    spacing_mm: Triple
    tilt_deg: float
    channels: tuple[ChannelFacts, ...]

    @classmethod
    def of(cls, scan: Scan) -> Self:
        """Facts of a scan as it was read, whose array is sampled: a few milliseconds for each channel."""
        grid = scan.geometry.reoriented(_ORIENTATION)
        flat = flat_last(grid)
        i, j, k = (_short(mm) for mm in flat.spacing_mm)
        channels = tuple(ChannelFacts.of(channel) for channel in scan.array)
        return cls(shape=flat.shape, spacing_mm=(i, j, k), tilt_deg=_tilt_deg(grid), channels=channels)

    @property
    def extent_mm(self) -> Triple:
        """Size of the field of view along the same axes as `shape`."""
        i, j, k = (size * mm for size, mm in zip(self.shape, self.spacing_mm, strict=True))
        return i, j, k

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres."""
        return math.prod(self.spacing_mm) / 1000

    @property
    def is_flat(self) -> bool:
        """Whether the scan has a single slice, as a picture has."""
        return self.shape[2] == 1


def _tilt_deg(grid: Geometry) -> float:
    """Largest angle between an axis of a grid in the order R, A, S and its patient axis."""
    cosines = np.diag(grid.affine[:3, :3]) / grid.spacing_mm
    return _short(float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).max()))


def _spread(shape: tuple[int, ...], most: int) -> tuple[slice, ...]:
    """An even sample of at most about so many voxels, thinned most along the longest axes."""
    steps = [1] * len(shape)
    while math.prod(-(-size // step) for size, step in zip(shape, steps, strict=True)) > most:
        axis = max(range(len(shape)), key=lambda n: shape[n] / steps[n])
        steps[axis] += 1
    return tuple(slice(step // 2, None, step) for step in steps)


def _neighbour_difference(channel: Array) -> float:
    """Mean absolute difference between neighbours, averaged over the axes with more than one voxel."""
    means = []
    for axis, size in enumerate(channel.shape):
        if size > 1:
            pairs = _spread(tuple(n - (other == axis) for other, n in enumerate(channel.shape)), _NEIGHBOURS)
            before, after = _ends(channel, axis)
            means.append(float(np.abs(after[pairs].astype(np.float64) - before[pairs]).mean()))
    return float(np.mean(means)) if means else 0.0


def _ends(channel: Array, axis: int) -> tuple[Array, Array]:
    """The channel without its last and without its first layer along an axis."""
    size = channel.shape[axis]
    whole = [slice(None)] * channel.ndim
    before, after = list(whole), list(whole)
    before[axis], after[axis] = slice(0, size - 1), slice(1, size)
    return channel[tuple(before)], channel[tuple(after)]


def _short(value: float) -> float:
    return significant(value, 5)
