"""Extremes and percentiles of a channel."""

from __future__ import annotations

import math

import numpy as np

from medseg.audit.facts import ChannelFacts
from medseg.records import Array

_SAMPLE = 250_000


def measure_channel(channel: Array) -> ChannelFacts:
    """Intensities of one channel of shape `(I, J, K)`, all finite; percentiles are those of an even sample."""
    return measure_sample(thinned(channel), low=float(channel.min()), high=float(channel.max()))


def measure_sample(sample: Array, *, low: float, high: float) -> ChannelFacts:
    """Percentiles of a sample of values, with the extremes of all."""
    p1, p25, p50, p75, p99, p999 = (float(p) for p in np.percentile(sample, [1, 25, 50, 75, 99, 99.9]))
    return ChannelFacts(low, p1, p25, p50, p75, p99, p999, high)


def thinned(volume: Array) -> Array:
    """Every nth voxel along each axis, about 250,000 of a large volume: sorting all would take longer than reading."""
    step = max(1, math.ceil((volume.size / _SAMPLE) ** (1 / 3)))
    return volume[::step, ::step, ::step]
