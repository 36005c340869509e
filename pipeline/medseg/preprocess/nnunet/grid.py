"""The grids of a scan on its way to an nnU-Net model.

nnU-Net counts axes as `(k, j, i)`, transposed as the plans say; here a 2D network's axis of slices comes last instead
of first, as everywhere in medseg.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medseg.geometry import Geometry, Triple
from medseg.origin import PictureOrigin
from medseg.preprocess.grid import Box, part_of
from medseg.preprocess.nnunet.config import NnunetPreprocess, NnunetResampling
from medseg.preprocess.nnunet.crop import nonzero_box
from medseg.records import Array, Scan

_ANISOTROPY = 3.0  # of nnU-Net: spacings that differ by more are resampled slice by slice
_PICTURE_MM = (999.0, 1.0, 1.0)
Sizes = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class NnunetGrids:
    """Grids along the axes of the patch.

    Attributes:
        box: Voxels of the scan that the network sees.
        native: Grid of the box, its axes in the order and direction of the patch's.
        network: Network's grid over the same extent.
        spacing_mm: Spacing of `native` as nnU-Net reads it.
        target_mm: Spacing of the network's grid that was asked for.
        order: Axis of `native` that is each of nnU-Net's axes.
    """

    box: Box
    native: Geometry
    network: Geometry
    spacing_mm: Triple
    target_mm: Triple
    order: Sizes

    def coarse_axis(self, resampling: NnunetResampling, *, is_back: bool = False) -> int | None:
        """Axis that is resampled on its own; None where all are resampled together.

        Args:
            resampling: Rule of the resampling.
            is_back: Whether the way leads from the network's grid to the scan's.
        """
        source, target = (self.target_mm, self.spacing_mm) if is_back else (self.spacing_mm, self.target_mm)
        if resampling.separate_z is not None:
            return self._coarsest(source) if resampling.separate_z else None
        for spacing in (source, target):
            if max(spacing) / min(spacing) > _ANISOTROPY:
                return self._coarsest(spacing)
        return None

    def _coarsest(self, spacing: Triple) -> int | None:
        """The axis with the largest spacing; None where two share it."""
        coarsest = [axis for axis in range(3) if spacing[axis] == max(spacing)]
        return coarsest[0] if len(coarsest) == 1 else None


def nnunet_axes(geometry: Geometry, config: NnunetPreprocess) -> Geometry:
    """A grid with its axes in the order and direction of the network's patch."""
    turned = geometry.reoriented("RAS") if config.is_reoriented else geometry
    read = (2, 1, 0)
    axes = [read[axis] for axis in config.transpose]
    return turned.permuted([*axes[1:], axes[0]] if config.is_2d else axes)


def nnunet_grids(scan: Scan, config: NnunetPreprocess) -> NnunetGrids:
    """The grids of the part of a scan that is not 0."""
    box = nonzero_box(scan.array)
    native = nnunet_axes(part_of(scan.geometry, box), config)
    order = (2, 0, 1) if config.is_2d else (0, 1, 2)
    read = native.spacing_mm
    if isinstance(scan.origin, PictureOrigin):
        read = _along(_PICTURE_MM, order)
    wanted = config.spacing_mm if not config.is_2d else (read[order[0]], *config.spacing_mm)
    target = _along((wanted[0], wanted[1], wanted[2]), order)
    sizes = [round(old / new * size) for old, new, size in zip(read, target, native.shape, strict=True)]
    network = resized(native, (max(1, sizes[0]), max(1, sizes[1]), max(1, sizes[2])))
    return NnunetGrids(box, native, network, read, target, order)


def resized(grid: Geometry, shape: Sizes) -> Geometry:
    """The grid of the same extent with another number of voxels."""
    i, j, k = (spacing * old / new for spacing, old, new in zip(grid.spacing_mm, grid.shape, shape, strict=True))
    return grid.resampled((i, j, k))


def along_axes(array: Array, native: Geometry, axes: Geometry) -> Array:
    """A view of an array `(…, I, J, K)` with its last axes in the order and direction of another grid of its voxels."""
    maps = axes.axis_maps(native)
    first = array.ndim - 3
    view = array.transpose(*range(first), *(axis_map.source_axis + first for axis_map in maps))
    flips = tuple(first + axis for axis, axis_map in enumerate(maps) if axis_map.scale < 0)
    return np.flip(view, flips)


def nearest_planes(size: int, planes: int) -> Array:
    """Plane of the source that each plane of the target takes where an axis is resampled with order 0."""
    position = planes / size * (np.arange(size) + 0.5) - 0.5
    return np.asarray(np.clip(np.floor(position + 0.5), 0, planes - 1), np.int64)


def _along(values: Triple, order: Sizes) -> Triple:
    """Values of nnU-Net's axes along ours."""
    result = [0.0, 0.0, 0.0]
    for axis, value in zip(order, values, strict=True):
        result[axis] = value
    return result[0], result[1], result[2]
