"""A bare head in a volume, known by its form: a face can be drawn from it, whatever the header says."""

from __future__ import annotations

import numpy as np

from medseg.geometry import Geometry
from medseg.records import Array, Mask

_LOOK_MM = 4.0  # voxels that a head is looked for in
_THICKEST_MM = 6.5
_AIR_HU = -300.0
_TISSUE = 0.1  # of the brightest tissue, where air is dark
_WIDTH_MM, _LENGTH_MM = (105.0, 205.0), (135.0, 265.0)
_LEAST_HEIGHT_MM = 60.0
_LEAST_ROUND = 0.6
_CROWN_MM = 60.0  # in which a head grows from its crown to its width
_STRIPPED_SHELL = 0.8


def shows_head(volume: Array, geometry: Geometry) -> bool:
    """Whether a volume shows a head with its skin.

    A head ends in a crown with air above it, and is as wide and long as a head over several centimetres below. A brain
    without its skull is none, nor is a head seen through voxels that are too coarse for a face.

    Args:
        volume: One channel, shape `(I, J, K)`.
        geometry: Grid of the volume.
    """
    if max(geometry.spacing_mm) > _THICKEST_MM or 1 in geometry.shape:
        return False
    seen, spacing = _coarse(volume, geometry)
    body = _body(seen)
    if body is None:
        return False
    is_head = [_is_head_slice(body[:, :, k], spacing) for k in range(body.shape[2])]
    filled = np.flatnonzero(body.any(axis=(0, 1)))
    crown = int(filled[-1]) if len(filled) else 0
    if not len(filled) or crown >= body.shape[2] - 1:
        return False
    below = is_head[max(0, crown - round(_CROWN_MM / spacing[2])) : crown + 1][::-1]
    start = crown - below.index(True) if True in below else -1
    height = 0
    while start - height >= 0 and is_head[start - height]:
        height += 1
    return height * spacing[2] >= _LEAST_HEIGHT_MM and not _is_stripped(seen, body)


def _coarse(volume: Array, geometry: Geometry) -> tuple[Array, tuple[float, float, float]]:
    """Every nth voxel in RAS+ order, and the spacing."""
    grid = geometry.reoriented("RAS")
    maps = grid.axis_maps(geometry)
    turned = volume.transpose([axis.source_axis for axis in maps])
    turned = turned[tuple(slice(None, None, -1 if axis.scale < 0 else 1) for axis in maps)]
    i, j, k = (max(1, int(_LOOK_MM / mm)) for mm in grid.spacing_mm)
    r, a, s = grid.spacing_mm
    return turned[::i, ::j, ::k].astype(np.float32), (r * i, a * j, s * k)


def _body(seen: Array) -> Mask | None:
    """The largest piece of tissue, its cavities filled slice by slice; None if there is no air round it."""
    from scipy.ndimage import binary_fill_holes, binary_opening, gaussian_filter, label

    lowest, top = float(seen.min()), float(np.percentile(seen, 99))
    has_hounsfield = lowest < 2 * _AIR_HU
    limit = _AIR_HU if has_hounsfield else lowest + _TISSUE * (top - lowest)
    tissue = binary_opening((seen if has_hounsfield else gaussian_filter(seen, 0.7)) > limit)
    pieces, count = label(tissue)
    if count == 0:
        return None
    body = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return np.stack([binary_fill_holes(body[:, :, k]) for k in range(body.shape[2])], axis=2)


def _is_head_slice(body: Mask, spacing: tuple[float, float, float]) -> bool:
    """Whether an axial slice of a body has the size and roundness of a head."""
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    if not len(rows):
        return False
    width, length = (rows[-1] - rows[0] + 1) * spacing[0], (columns[-1] - columns[0] + 1) * spacing[1]
    is_sized = _WIDTH_MM[0] <= width <= _WIDTH_MM[1] and _LENGTH_MM[0] <= length <= _LENGTH_MM[1]
    filled = body.sum() * spacing[0] * spacing[1] / (width * length)
    return bool(is_sized and filled >= _LEAST_ROUND and length >= 0.9 * width)


def _is_stripped(seen: Array, body: Mask) -> bool:
    """Whether all was made one value outside of the body, and its rim is as bright as what lies within."""
    from scipy.ndimage import binary_dilation, binary_erosion

    outside = seen[~binary_dilation(body, iterations=2)]
    if not len(outside) or float(np.mean(outside == np.median(outside))) < 0.999:
        return False
    inner = binary_erosion(body, iterations=2)
    skull = binary_erosion(body, iterations=1) & ~inner
    deep = binary_erosion(body, iterations=6)
    if not deep.any() or not skull.any():
        return False
    lowest = float(seen.min())
    ring, brain = (float(np.median(seen[part])) - lowest for part in (skull, deep))
    return _STRIPPED_SHELL * brain <= ring <= brain / _STRIPPED_SHELL
