"""Masks of pictures, read back by libraries that share no code with the writer's reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medseg.geometry import Geometry
from medseg.records import Array, Mask
from medseg.scans.read_back import ReadBack
from medseg.scans.segment import Segment


def read_picture_with_pillow(path: Path, segments: Sequence[Segment], geometry: Geometry) -> ReadBack:
    """The structures of a PNG as Pillow reads it.

    Args:
        path: File of the mask.
        segments: Structures by their values; the file has no names.
        geometry: Grid of the picture, which the file does not hold.
    """
    import PIL
    from PIL import Image

    with Image.open(path) as picture:
        rows = np.asarray(picture)
    return _read_back(f"Pillow {PIL.__version__}", rows, segments, geometry)


def read_picture_with_simpleitk(path: Path, segments: Sequence[Segment], geometry: Geometry) -> ReadBack:
    """The same as SimpleITK reads it."""
    import SimpleITK as sitk

    rows = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return _read_back(f"SimpleITK {sitk.Version.VersionString()}", rows, segments, geometry)


def _read_back(library: str, rows: Array, segments: Sequence[Segment], geometry: Geometry) -> ReadBack:
    labels = rows.T[..., np.newaxis]  # (I, J, 1)
    by_number = {segment.number: segment for segment in segments}
    known = {0, *(value for segment in segments for value in segment.values)}

    def mask(number: int) -> Mask:
        return by_number[number].mask(labels)

    width, height = labels.shape[:2]
    return ReadBack(
        library=library,
        geometry=Geometry((width, height, 1), geometry.affine),
        names={},
        numbers=tuple(number for number in by_number if mask(number).any()),
        mask=mask,
        strays=tuple(value for value in np.unique(labels).tolist() if value not in known),
    )
