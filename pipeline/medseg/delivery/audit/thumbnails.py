"""Small pictures of a case: three planes through its labels, with the labels drawn over."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

from medseg.audit import Plane
from medseg.audit.canonical import canonical
from medseg.delivery.pictures import best_slices, cut_plane, stretched
from medseg.origin import PictureOrigin
from medseg.plane import PLANES
from medseg.records import Array, Labelmap, Mask, Scan
from medseg.scans.segment import Colour
from medseg.terms import structure_colours

_SIDE = 200
_FILL = 0.28
_MOST_SLICES = 96
_MOST_LABELS = 16
_UNNAMED = (255, 255, 255)


def draw_planes(image: Scan, label: Labelmap | None, foreground: Mapping[str, int]) -> tuple[Plane, ...]:
    """Three planes of a volume, or the one of a picture or single slice.

    Each plane is the slice along its axis that shows most of all labels, or the middle one without a label.

    Args:
        image: Scan of which the first channel is shown, or picture with its colours.
        label: Label on the same grid; None to draw none.
        foreground: Value of each structure by its name; other values above 0 are drawn in white.
    """
    colours = structure_colours(foreground)
    by_value = {value: colours[name] for name, value in foreground.items()}
    if isinstance(image.origin, PictureOrigin):
        shown = image.array[:3, :, :, 0] if image.array.shape[0] == 3 else image.array[:1, :, :, 0]
        flat = None if label is None else _coloured(label[:, :, 0].T, by_value)
        scale = _SIDE / max(shown.shape[1:])
        return (_plane("picture", shown.transpose(2, 1, 0), flat, (scale, scale), ""),)
    volume, grid = canonical(image.array[0], image.geometry)
    labels = None if label is None else canonical(label, image.geometry)[0]
    centre = _centre(labels, volume.shape)
    scale = _SIDE / max(n * spacing for n, spacing in zip(grid.shape, grid.spacing_mm, strict=True))
    planes = []
    flat_axis = volume.shape.index(1) if 1 in volume.shape else None
    for facts in (one for one in PLANES.values() if flat_axis in (None, one.axis)):
        axis = facts.axis
        across, down = (scale * spacing for other, spacing in enumerate(grid.spacing_mm) if other != axis)
        cut = cut_plane(volume, axis, centre[axis])[:, :, np.newaxis]
        marked = None if labels is None else _coloured(cut_plane(labels, axis, centre[axis]), by_value)
        planes.append(_plane(facts.name, cut, marked, (across, down), facts.edges))
    return tuple(planes)


def _centre(label: Labelmap | None, shape: tuple[int, ...]) -> list[int]:
    """Indices of the best slices; along long axes only every nth is examined, so that large volumes stay cheap."""
    steps = [max(1, n // _MOST_SLICES) for n in shape]
    thinned = None if label is None else label[tuple(slice(None, None, step) for step in steps)]
    if thinned is None or not thinned.any():
        return [n // 2 for n in shape]
    values = np.unique(thinned[thinned > 0])[:_MOST_LABELS]
    best = best_slices((thinned == value for value in values), thinned.shape)
    return [index * step for index, step in zip(best, steps, strict=True)]


def _plane(name: str, pixels: Array, marks: Array | None, scale: tuple[float, float], letters: str) -> Plane:
    """A thumbnail of pixels `(rows, columns, 1 or 3)` and marks in colour, enlarged by `scale` across and down."""
    from PIL import Image

    rows, columns = pixels.shape[:2]
    size = (max(round(columns * scale[0]), 8), max(round(rows * scale[1]), 8))
    grey = Image.fromarray(np.squeeze(np.rint(255 * stretched(pixels)).astype(np.uint8)))
    picture = np.asarray(grey.resize(size, Image.Resampling.BILINEAR).convert("RGB"), dtype=np.float32)
    if marks is not None:
        picture = _overlaid(picture, np.asarray(Image.fromarray(marks).resize(size, Image.Resampling.NEAREST)))
    stream = io.BytesIO()
    Image.fromarray(np.rint(picture).astype(np.uint8)).save(stream, format="JPEG", quality=82)
    return Plane(name, stream.getvalue(), size, letters)


def _coloured(label: Labelmap, colours: Mapping[int, Colour]) -> Array:
    """The colours of a plane's labels, uint8 of shape `(rows, columns, 3)`; black where there is none."""
    coloured = np.zeros((*label.shape, 3), np.uint8)
    for value in np.unique(label[label > 0]).tolist():
        coloured[label == value] = colours.get(value, _UNNAMED)
    return coloured


def _overlaid(picture: Array, marks: Array) -> Array:
    """The picture with labels as a light fill and a solid outline."""
    strength = np.where(marks.any(axis=2), np.where(_outline(marks), 1.0, _FILL), 0.0)[:, :, np.newaxis]
    return np.asarray(picture * (1 - strength) + marks * strength)


def _outline(marks: Array) -> Mask:
    """Pixels with a neighbour of another colour."""
    padded = np.pad(marks, ((1, 1), (1, 1), (0, 0)), mode="edge")
    centre = padded[1:-1, 1:-1]
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.asarray(np.any([(centre != other).any(axis=2) for other in neighbours], axis=0))
