"""Intensities in eight bits, with most of the steps where readers look."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from medseg.records import Array

_CT_KNOTS = ((-1024.0, 0), (-200.0, 64), (300.0, 192), (3071.0, 255))  # HU, step
_CT_WINDOW = (-160.0, 240.0)
_SAMPLES = 2_000_000


class Shades(NamedTuple):
    """A scale of 256 intensities.

    Attributes:
        levels: Intensity of each step, rising, shape `(256,)`.
        window: Intensities that are shown as black and white at first.
        is_hu: Whether they are Hounsfield units.
    """

    levels: Array
    window: tuple[float, float]
    is_hu: bool

    def encode(self, values: Array) -> Array:
        """The nearest steps, uint8; what lies outside of the scale gets its end."""
        steps = np.interp(values, self.levels, np.arange(256))
        return np.rint(steps).astype(np.uint8)


def shades_of(channel: Array) -> Shades:
    """The scale of one channel: steps of 4 HU in soft tissue for a CT, equal steps for everything else.

    A channel counts as CT if it holds air below -500 and something above 100.

    Args:
        channel: Finite intensities of any shape.
    """
    step = max(1, math.isqrt(channel.size // _SAMPLES))
    low, dark, bright, high = np.percentile(channel[::step, ::step], [0.1, 0.5, 99.5, 99.9])
    if float(low) < -500 and float(high) > 100:
        knots, steps = zip(*_CT_KNOTS, strict=True)
        return Shades(np.interp(np.arange(256), steps, knots), _CT_WINDOW, is_hu=True)
    if high <= low:
        low, high = float(channel.min()), float(channel.max())
    top = float(high) if high > low else float(low) + (abs(float(low)) or 1.0)
    window = (float(dark), float(bright)) if bright > dark else (float(low), top)
    return Shades(np.linspace(float(low), top, 256), window, is_hu=False)
