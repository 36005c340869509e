"""Patch, batch and network depth from the scans' size and the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from medseg.networks.config import SkipKind
from medseg.records import Array

DeviceKind = Literal["cpu", "cuda"]
_SMALLEST_MAP = 4
_MOST_STAGES = 6
_SHORTEST = 8
COARSE = 2.0  # an axis whose voxels are so many times as large as the finest is coarse


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits of a training step on a kind of device.

    Attributes:
        patch_voxels: Voxels of the largest patch.
        clock_voxels: Voxels of the largest patch of volumes where a wall clock decides what is seen at once.
        step_voxels: Voxels of a whole batch, roughly.
        width: Channels of features on the image's own grid, doubled wherever the grid is halved.
        widest: Most channels of any stage.
        skips: How the decoder joins the encoder's features.
        where: Name of the device or preset, as in `on cpu`.
        is_tight: Whether patches of volumes are rounded up to multiples of 4 alone, and odd sizes are halved, which
            costs a fifth less than multiples of 8 (benchmarks/README.md); not on a GPU, where it was not measured.
        stages: Most stages of the network.
    """

    patch_voxels: int
    clock_voxels: int
    step_voxels: int
    width: int
    widest: int
    skips: SkipKind
    where: str
    is_tight: bool = False
    stages: int = _MOST_STAGES


RESOURCES: dict[tuple[DeviceKind, bool], Resources] = {
    ("cpu", False): Resources(
        patch_voxels=64**3,
        clock_voxels=2_000_000,
        step_voxels=180_000,
        width=16,
        widest=256,
        skips="added",
        where="on cpu",
        is_tight=True,
    ),
    ("cpu", True): Resources(
        patch_voxels=256**2,
        clock_voxels=256**2,
        step_voxels=8 * 256**2,
        width=16,
        widest=256,
        skips="concatenated",
        where="on cpu",
    ),
    ("cuda", False): Resources(
        patch_voxels=128**3,
        clock_voxels=128**3,
        step_voxels=2 * 128**3,
        width=32,
        widest=320,
        skips="concatenated",
        where="on cuda",
    ),
    ("cuda", True): Resources(
        patch_voxels=512**2,
        clock_voxels=512**2,
        step_voxels=16 * 512**2,
        width=32,
        widest=512,
        skips="concatenated",
        where="on cuda",
    ),
}


def plan_strides(
    patch: Array,
    spacing_mm: Array,
    *,
    is_2d: bool,
    begins_strided: bool = False,
    stages: int = _MOST_STAGES,
    is_even: bool = True,
) -> tuple[list[list[int]], list[list[int]]]:
    """Strides and kernels per stage, each a list over the network's axes.

    An axis is halved while at least four voxels remain after it and its voxels are not twice as coarse as the finest of
    the axes that can still be halved; a kernel covers an axis from the stage on at which that axis's voxels are less
    than twice as coarse as the finest.

    Args:
        patch: Voxels of the patch, `(3,)`.
        spacing_mm: Voxel size of the network's grid, `(3,)`.
        is_2d: Whether the network is 2D, without the last axis.
        begins_strided: Whether the first stage halves the grid, too.
        stages: Most stages.
        is_even: Whether only even sizes are halved, so that the patch is a multiple of the whole reduction.

    Source: Isensee et al. 2021, https://doi.org/10.1038/s41592-020-01008-z, supplementary note 2, from which the rule
    for anisotropic axes is taken.
    """
    axes = 2 if is_2d else 3
    size, spacing = np.array(patch[:axes], dtype=float), np.array(spacing_mm[:axes], dtype=float)
    strides: list[list[int]] = []
    kernels: list[list[int]] = []
    if not begins_strided or not _can_halve(size, is_even=is_even).any():
        strides, kernels = [[1] * axes], [_kernel(spacing)]
    while len(strides) < stages:
        can_halve = _can_halve(size, is_even=is_even)
        if not can_halve.any():
            break
        stride = np.where(can_halve & (spacing < COARSE * spacing[can_halve].min()), 2, 1)
        size, spacing = np.ceil(size / stride), spacing * stride
        strides.append([int(s) for s in stride])
        before = kernels[-1] if kernels else [1] * axes
        kernels.append([max(pair) for pair in zip(_kernel(spacing), before, strict=True)])
    return strides, kernels


def _can_halve(size: Array, *, is_even: bool) -> Array:
    """Which axes keep at least four voxels when they are halved."""
    halves: Array = (size / 2 >= _SMALLEST_MAP) & ((size % 2 == 0) | (not is_even))
    return halves


def plan_patch(
    shape: Array, spacing_mm: Array, *, is_2d: bool, voxels: int, is_tight: bool = False
) -> tuple[int, int, int]:
    """A patch that covers the median scan, or as much of it as fits, shortened along its longest sides in millimetres.

    Args:
        shape: Median shape on the network's grid, `(3,)`.
        spacing_mm: Voxel size of that grid, `(3,)`.
        is_2d: Whether the patch has one slice.
        voxels: Voxels of the largest patch.
        is_tight: Whether sizes are rounded up to multiples of 4 alone.
    """
    patch = np.maximum(np.array(shape, dtype=float), 8 if not is_2d else 1)
    while _rounded(patch, spacing_mm, is_2d=is_2d, is_tight=is_tight).prod() > voxels and (patch > _SHORTEST).any():
        longest = int(np.argmax(np.where(patch > _SHORTEST, patch * spacing_mm, 0)))
        patch[longest] *= 0.95
    i, j, k = (int(n) for n in _rounded(patch, spacing_mm, is_2d=is_2d, is_tight=is_tight))
    return i, j, k


def _rounded(patch: Array, spacing_mm: Array, *, is_2d: bool, is_tight: bool) -> Array:
    """Sizes rounded up to multiples of 2 to 32, larger for longer axes, so that the network can halve them evenly."""
    result = []
    for axis, size in enumerate(patch):
        if is_2d and axis == 2:
            result.append(1)
            continue
        coarse = spacing_mm[axis] / spacing_mm.min()
        step = 32 if size >= 128 else 16 if size >= 96 else 8 if size >= 24 else 4 if size >= 12 else 2
        step = min(step, 4) if is_tight else step
        while step > 2 and coarse >= COARSE:
            step, coarse = step // 2, coarse / 2
        result.append(max(step, int(np.ceil(np.round(size) / step) * step)))
    return np.array(result)


def _kernel(spacing: Array) -> list[int]:
    return [3 if s < COARSE * spacing.min() else 1 for s in spacing]
