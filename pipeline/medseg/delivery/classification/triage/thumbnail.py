"""A slice as a small grey JPEG inside the page."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from medseg.delivery.pictures import embedded_jpeg, stretched
from medseg.records import Array

SIDE = 96
MOST_BYTES = 5000
_QUALITIES = (80, 65, 50, 35, 20)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture for the page: its `data:` address, width and height in pixels of the screen."""

    source: str
    width: int
    height: int


def thumbnail(picture: Array) -> Thumbnail:
    """Grey between the 0.5th and the 99.5th percentile, at most 96 pixels a side and about 5 kB.

    Pictures smaller than that are stored as they are and shown as large as the others.

    Args:
        picture: Intensities of any range, shape `(rows, columns)`, not empty; NaN and infinity become black.
    """
    from PIL import Image

    rows, columns = picture.shape
    scale = SIDE / max(rows, columns)
    shown = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    shades = stretched(np.asarray(picture, dtype=np.float64))
    grey = Image.fromarray(np.rint(255 * shades).astype(np.uint8))
    if scale < 1:
        grey = grey.resize(shown, Image.Resampling.LANCZOS)
    for quality in _QUALITIES:
        stream = io.BytesIO()
        grey.save(stream, format="JPEG", quality=quality, optimize=True)
        if stream.tell() <= MOST_BYTES:
            break
    return Thumbnail(embedded_jpeg(stream.getvalue()), *shown)
