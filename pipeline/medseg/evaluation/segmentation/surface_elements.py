"""Surfaces as small polygons between voxel centres, with their areas: what the surface Dice weighs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from medseg.evaluation.segmentation.nearest import nearest_distances
from medseg.records import Array, Mask

ROUNDING_VOXELS = 1e-5
"""A tolerance is larger by this part of the finest voxel side, as distances may be of single precision."""


class SurfaceElements(NamedTuple):
    """Elements of two surfaces.

    Attributes:
        label_distances: Distance of each element of the label's surface to the mask's, in millimetres.
        label_areas: Area of each in square millimetres; length in millimetres on a picture.
        mask_distances: Distance of each element of the mask's surface to the label's.
        mask_areas: Area of each.
    """

    label_distances: Array
    label_areas: Array
    mask_distances: Array
    mask_areas: Array

    def agreeing_share(self, tolerance_mm: float) -> float:
        """Share of both surfaces' areas that lies within a distance of the other surface."""
        whole = self.label_areas.sum() + self.mask_areas.sum()
        near = self.label_areas[self.label_distances <= tolerance_mm].sum()
        near += self.mask_areas[self.mask_distances <= tolerance_mm].sum()
        return float(near / whole)


def surface_elements(label: Mask, mask: Mask, *, spacing_mm: Sequence[float]) -> SurfaceElements:
    """The surface elements of two masks and their distances to the other mask's surface.

    An element lies in every cube of 2×2×2 voxel centres (square of 2×2 on a picture) that is partly inside, with the
    area that marching cubes gives it; beyond the grid is outside.

    Args:
        label: Reference, bool, of two or three axes, not empty.
        mask: Prediction on the same grid, not empty.
        spacing_mm: Voxel size along each axis.

    Source: Nikolov et al. 2021, https://doi.org/10.2196/26151; the table of areas is that of MONAI.
    """
    spacing = tuple(spacing_mm)
    areas = _areas(spacing)
    codes = [_codes(part) for part in (label, mask)]
    whole = len(areas) - 1
    edges = [(code != 0) & (code != whole) for code in codes]
    return SurfaceElements(
        label_distances=nearest_distances(edges[0], edges[1], spacing_mm=spacing),
        label_areas=areas[codes[0][edges[0]]],
        mask_distances=nearest_distances(edges[1], edges[0], spacing_mm=spacing),
        mask_areas=areas[codes[1][edges[1]]],
    )


def _codes(part: Mask) -> Array:
    """Which corners of each cube of 2×2×2 voxels, or square of 2×2, are inside, as a number; MONAI's order of bits."""
    rimmed = np.pad(part, 1).view(np.uint8)
    shape = [size + 1 for size in part.shape]
    code = np.zeros(shape, np.uint8)
    for corner in range(2**part.ndim):
        steps = [corner >> (part.ndim - 1 - axis) & 1 for axis in range(part.ndim)]
        place = tuple(slice(step, step + size) for step, size in zip(steps, shape, strict=True))
        code |= rimmed[place] << (2**part.ndim - 1 - corner)
    return code


@lru_cache(maxsize=64)
def _areas(spacing: tuple[float, ...]) -> Array:
    """Area of the surface in a cube, or length in a square, by the number of its corners."""
    from monai.metrics import utils

    table: Sequence[float]
    if len(spacing) == 2:
        table, _ = utils.create_table_neighbour_code_to_contour_length(spacing)
    else:
        table, _ = utils.create_table_neighbour_code_to_surface_area(spacing)
    return np.asarray(table, dtype=np.float64)
