"""A small picture of a scan and the outlines of its mask."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medseg.inference.mask_page.png import encode_png
from medseg.inference.mask_page.preview import Preview
from medseg.plane import PLANES
from medseg.records import Array, Labelmap
from medseg.scans.segment import Colour

PICTURES = "pictures"
SIDE = 176
"""Pixels of the longer side of a plane."""
_SIDE_PICTURE = 384
_MOST_GREYS = 176  # numbers of the palette; the others are colours of structures
_LEAST_GREYS = 32


def picture_path(folder: Path, case_id: str) -> Path:
    """File of the picture of a case in a folder of masks."""
    return folder / PICTURES / f"{case_id}.png"


def draw_preview(preview: Preview, mask: Labelmap, colours: Mapping[int, Colour]) -> bytes:
    """A PNG of the planes that show most of the mask: axial, coronal and sagittal beside each other, or the picture.

    The patient's right, or front, is on the left of a plane; pixels are square.

    Args:
        preview: The scan as `take_preview` gave it.
        mask: Label values of shape `(I, J, K)` on the scan's own grid.
        colours: Colour of each label value.
    """
    reduced = preview.reduced(mask)
    if preview.is_picture:
        return _coloured(preview, reduced[:, ::-1, 0].T, colours)
    flat = [axis for axis in range(3) if reduced.shape[axis] == 1]
    best = best_planes(reduced)
    greys, labels = [], []
    for axis in (plane.axis for plane in PLANES.values()):
        if axis in flat[:1] or not flat:
            grey, label = _fitted(preview, reduced, axis, best[axis])
        else:  # a plane of one row shows nothing; its place stays, so that each plane is under its letters
            grey, label = np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), reduced.dtype)
        greys.append(grey)
        labels.append(label)
    return _indexed(np.concatenate(greys, axis=1), np.concatenate(labels, axis=1), colours)


def best_planes(mask: Labelmap) -> list[int]:
    """The plane along each axis that shows most of all structures; the area of each counts relative to its largest."""
    places = np.nonzero(mask)
    if not len(places[0]):
        return [size // 2 for size in mask.shape]
    values, numbers = np.unique(mask[places], return_inverse=True)
    best = []
    for axis, size in enumerate(mask.shape):
        areas = np.bincount(places[axis] * len(values) + numbers, minlength=size * len(values)).reshape(size, -1)
        shares = (areas / areas.max(axis=0)).sum(axis=1)
        best.append(int(np.flatnonzero(shares == shares.max())[0]))
    return best


def _fitted(preview: Preview, mask: Labelmap, axis: int, index: int) -> tuple[Array, Labelmap]:
    """Grey levels and labels of a plane, `(SIDE, SIDE)`, with square pixels and black beside it."""
    at = (slice(None),) * axis + (index,)
    grey, label = (part[at].T[::-1, ::-1] for part in (preview.shades[0], mask))
    width_mm, height_mm = (one for n, one in enumerate(preview.spacing_mm) if n != axis)
    extents = (grey.shape[0] * height_mm, grey.shape[1] * width_mm)
    rows, columns = (max(1, round(SIDE * extent / max(extents))) for extent in extents)
    return _centred(_linear(grey, rows, columns), SIDE), _centred(_nearest(label, rows, columns), SIDE)


def _centred(plane: Array, side: int) -> Array:
    canvas = np.zeros((side, side), plane.dtype)
    top, left = ((side - size) // 2 for size in plane.shape)
    canvas[top : top + plane.shape[0], left : left + plane.shape[1]] = plane
    return canvas


def _nearest(plane: Array, rows: int, columns: int) -> Array:
    i, j = (
        ((np.arange(size) + 0.5) * old / size).astype(int)
        for size, old in zip((rows, columns), plane.shape, strict=True)
    )
    return np.asarray(plane[i[:, None], j])


def _linear(plane: Array, rows: int, columns: int) -> Array:
    for axis, size in enumerate((rows, columns)):
        place = np.clip((np.arange(size) + 0.5) * plane.shape[axis] / size - 0.5, 0, plane.shape[axis] - 1)
        low = place.astype(int)
        high = np.minimum(low + 1, plane.shape[axis] - 1)
        share = (place - low).reshape((-1, 1) if axis == 0 else (1, -1))
        plane = plane.take(low, axis) * (1 - share) + plane.take(high, axis) * share
    return np.rint(plane).astype(np.uint8)


def _outlined(labels: Labelmap) -> Labelmap:
    """Labels on the pixels beside which another label begins, 0 elsewhere."""
    is_edge = np.zeros(labels.shape, bool)
    is_edge[1:] |= labels[1:] != labels[:-1]
    is_edge[:-1] |= labels[1:] != labels[:-1]
    is_edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    is_edge[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    return np.where(is_edge, labels, 0)


def _indexed(grey: Array, labels: Labelmap, colours: Mapping[int, Colour]) -> bytes:
    outlines = _outlined(labels)
    values = [int(value) for value in np.unique(outlines) if value]
    greys = max(min(_MOST_GREYS, 256 - len(values)), _LEAST_GREYS)
    shades = np.rint(np.linspace(0, 255, greys)).astype(np.uint8)
    painted = [colours.get(value, (255, 255, 255)) for value in values[: 256 - greys]]
    palette = np.concatenate([np.repeat(shades[:, None], 3, axis=1), np.array(painted, np.uint8).reshape(-1, 3)])
    pixels = (grey.astype(np.uint16) * (greys - 1) // 255).astype(np.uint8)
    for number, value in enumerate(values):
        pixels[outlines == value] = greys + number % (256 - greys)
    return encode_png(pixels, palette)


def _coloured(preview: Preview, labels: Labelmap, colours: Mapping[int, Colour]) -> bytes:
    shown = preview.shades[:, :, ::-1, 0].transpose(2, 1, 0)  # (rows, columns, C)
    scale = min(1.0, _SIDE_PICTURE / max(shown.shape[:2]))
    rows, columns = (max(1, round(size * scale)) for size in shown.shape[:2])
    pixels = np.stack([_linear(shown[..., n], rows, columns) for n in range(shown.shape[2])], axis=2)
    pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    outlines = _outlined(_nearest(labels, rows, columns))
    for value in np.unique(outlines[outlines > 0]).tolist():
        pixels[outlines == value] = colours.get(value, (255, 255, 255))
    return encode_png(np.ascontiguousarray(pixels))
