"""A slice as a small grey JPEG inside the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np

from medseg.records import Array

SIDE = 96
MOST_BYTES = 5000
_QUALITIES = (80, 65, 50, 35, 20)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture for the page: `data:` address, width and height in pixels of the screen."""

    source: str
    width: int
    height: int


def thumbnail(picture: Array) -> Thumbnail:
    """Grey between the 0.5th and the 99.5th percentile, at most 96 pixels a side and about 5 kB.

    Pictures smaller than that are stored as they are and shown as large as the others.

    Args:
        picture: Shape `(rows, columns)`, not empty, any range; NaN and infinity become black.
    """
    from PIL import Image

    rows, columns = picture.shape
    scale = SIDE / max(rows, columns)
    shown = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    grey = Image.fromarray(_stretched(picture))
    if scale < 1:
        grey = grey.resize(shown, Image.Resampling.LANCZOS)
    for quality in _QUALITIES:
        stream = io.BytesIO()
        grey.save(stream, format="JPEG", quality=quality, optimize=True)
        if stream.tell() <= MOST_BYTES:
            break
    return Thumbnail("data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode(), *shown)


def _stretched(picture: Array) -> Array:
    values = np.asarray(picture, dtype=np.float64)
    is_there = np.isfinite(values)
    low, high = np.percentile(values[is_there], [0.5, 99.5]) if is_there.any() else (0.0, 1.0)
    share = (np.where(is_there, values, low) - low) / max(float(high - low), 1e-9)
    return np.asarray(np.rint(255 * np.clip(share, 0, 1)), dtype=np.uint8)
