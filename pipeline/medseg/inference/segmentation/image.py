"""The part of a plan's grid that a slab of a scan needs, and the image there."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from medseg.errors import ConfigError
from medseg.geometry import Geometry
from medseg.inference.segmentation.windows import Box
from medseg.preprocess import PreprocessConfig
from medseg.preprocess.resample import resample_linear
from medseg.preprocess.transforms import NormaliseChannelsd
from medseg.records import Scan


def network_image(scan: Scan, config: PreprocessConfig, grid: Geometry) -> Tensor:
    """Normalise the whole scan and resample it to a part of its plan's grid: what `preprocess_scan` has there.

    Args:
        scan: As read.
        config: The plan's.
        grid: The wanted part of the plan's grid.

    Returns:
        `(C, *grid.shape)`, float32.

    Raises:
        ConfigError: If the scan has not as many channels as the configuration.
    """
    if scan.array.shape[0] != len(config.normalisation):
        raise ConfigError(
            f"preprocess.normalisation must have one entry for each of {scan.array.shape[0]} channels, "
            f"got {len(config.normalisation)}"
        )
    image = NormaliseChannelsd(["image"], config)({"image": torch.from_numpy(scan.array)})["image"]
    return resample_linear(image, scan.geometry, grid)


def box_around(native: Geometry, grid: Geometry) -> Box:
    """Voxels of a grid between which all voxel centres of another lie; beyond the grid its outermost ones."""
    extents = [range(0)] * 3
    for native_size, axis_map in zip(native.shape, native.axis_maps(grid), strict=True):
        last = grid.shape[axis_map.source_axis] - 1
        ends = sorted((axis_map.offset, axis_map.offset + axis_map.scale * (native_size - 1)))
        low, high = (min(max(end, 0), last) for end in ends)
        extents[axis_map.source_axis] = range(math.floor(low), math.ceil(high) + 1)
    return extents[0], extents[1], extents[2]


def part_of(grid: Geometry, box: Box) -> Geometry:
    """The grid of a box of voxels."""
    for axis, extent in enumerate(box):
        grid = grid.cropped(axis, extent)
    return grid
