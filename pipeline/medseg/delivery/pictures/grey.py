"""Intensities of any range as shades of grey."""

from __future__ import annotations

import numpy as np

from medseg.records import Array


def stretched(pixels: Array) -> Array:
    """Shades between the 0.5th and the 99.5th percentile, from 0 for black to 1 for white.

    Args:
        pixels: Intensities of any shape and range; NaN and infinity become black, and so does a constant picture.

    Returns:
        Shades of the same shape, floating point.
    """
    is_there = np.isfinite(pixels)
    low, high = np.percentile(pixels[is_there], [0.5, 99.5]) if is_there.any() else (0.0, 1.0)
    return np.asarray(np.clip((np.where(is_there, pixels, low) - low) / max(float(high - low), 1e-9), 0, 1))
