"""Augmentation of whole batches on the device that trains.

A CPU generator seeded by the step decides which sample is changed and by how much, so a batch is augmented alike on
every device and after a resume; only the voxels' noise is drawn on the device itself.
"""

from __future__ import annotations

import math
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from medseg.configuration import Axis, Config
from medseg.training.intensity import blurred, contrasted, lowered, noised, powered
from medseg.training.share import Share

_KNOWN = 1 - 1e-3  # share of a value's parts that are known, but for rounding
_WIDEST_BLUR = 1.5  # a kernel of seven taps holds two of its standard deviations


class AugmentConfig(Config):
    """Probabilities of each change per sample, and ranges of its strength.

    Attributes:
        spacing_mm: Voxel size, so that rotations and scalings are rigid in millimetres.
        affine_share: Share of samples that are rotated and scaled.
        rotation_degrees: Largest rotation about each axis; in 2D about the k axis only.
        scale: Largest relative change of size, drawn log-uniformly.
        mirror_axes: Axes that are flipped, each with probability one half.
        gamma_share: Share of samples with another gamma.
        gamma: Range of gamma.
        contrast_share: Share of samples with another contrast and brightness.
        contrast: Range of the factor on the difference from the mean.
        brightness: Largest shift, in standard deviations.
        noise_share: Share of samples with Gaussian noise.
        noise: Largest standard deviation of the noise.
        blur_share: Share of samples that are blurred.
        blur_voxels: Range of the blur's standard deviation.
        low_resolution_share: Share of samples that lose resolution.
        low_resolution: Smallest factor on the number of voxels along each axis.
    """

    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    affine_share: float = Field(0.5, ge=0, le=1)
    rotation_degrees: float = Field(15.0, ge=0, le=180)
    scale: float = Field(0.15, ge=0, lt=1)
    mirror_axes: tuple[Axis, ...] = ()
    gamma_share: float = Field(0.3, ge=0, le=1)
    gamma: tuple[float, float] = (0.7, 1.5)
    contrast_share: float = Field(0.3, ge=0, le=1)
    contrast: tuple[float, float] = (0.75, 1.25)
    brightness: float = Field(0.1, ge=0)
    noise_share: float = Field(0.2, ge=0, le=1)
    noise: float = Field(0.15, ge=0)
    blur_share: float = Field(0.1, ge=0, le=1)
    blur_voxels: tuple[float, float] = (0.4, 1.0)
    low_resolution_share: float = Field(0.1, ge=0, le=1)
    low_resolution: float = Field(0.5, gt=0, le=1)

    @model_validator(mode="after")
    def _ranges_have_a_meaning(self) -> Self:
        for name in ("gamma", "contrast", "blur_voxels"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must rise from above 0, got {(low, high)}")
        if self.blur_voxels[1] > _WIDEST_BLUR:
            raise ValueError(f"blur_voxels must be at most {_WIDEST_BLUR}, got {self.blur_voxels[1]}")
        if min(self.spacing_mm) <= 0:
            raise ValueError(f"spacing_mm must be above 0, got {self.spacing_mm}")
        return self


def augment_batch(
    image: Tensor,
    label: Tensor,
    config: AugmentConfig,
    *,
    seed: int,
    share: Share | None = None,
    has_values: bool = False,
) -> tuple[Tensor, Tensor]:
    """Augment a batch.

    Args:
        image: Images `(B, C, I, J, K)`, float; K = 1 in 2D.
        label: Labels `(B, 1, I, J, K)`, class indices; or values `(B, Q, I, J, K)`, NaN where one is not known.
        config: Probabilities and ranges of the changes.
        seed: Seed of this batch.
        share: Part of a larger batch that these are, each changed as it would be within the whole; all of it if not
            given.
        has_values: Whether the labels are values, which are interpolated linearly and not known outside the patch.

    Returns:
        New images and labels of the same shapes and types.
    """
    share = share or Share(0, image.shape[0], image.shape[0])
    generator = torch.Generator().manual_seed(seed)
    theta = _affine_matrices(torch.Size([share.size, *image.shape[1:]]), config, generator)
    if theta is not None:
        moved = theta[share.own].to(image.device)
        image, label = _transform_values(image, label, moved) if has_values else _transform(image, label, moved)
    image = powered(image, *_range(share, config.gamma, config.gamma_share, generator))
    factor, chosen = _range(share, config.contrast, config.contrast_share, generator)
    shift, _ = _range(share, (-config.brightness, config.brightness), 1.0, generator)
    image = contrasted(image, factor, shift, chosen)
    image = blurred(image, *_range(share, config.blur_voxels, config.blur_share, generator))
    image = lowered(image, *_range(share, (config.low_resolution, 1.0), config.low_resolution_share, generator))
    whole = Share(0, share.size, share.size)
    deviation, chosen = _range(whole, (0.0, config.noise), config.noise_share, generator)
    noise_seed = int(torch.randint(2**62, (), generator=generator))
    on_device = torch.Generator(image.device).manual_seed(noise_seed)
    return noised(image, deviation, chosen, on_device, share=share), label


def _range(
    share: Share, bounds: tuple[float, float], chance: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One uniform number per sample of the share, and which samples are chosen; both on the CPU."""
    values = torch.empty(share.size).uniform_(*bounds, generator=generator)
    chosen = torch.rand(share.size, generator=generator) < chance
    return values[share.own], chosen[share.own]


def _affine_matrices(shape: torch.Size, config: AugmentConfig, generator: torch.Generator) -> Tensor | None:
    """One matrix per sample for `affine_grid`, or None where no sample moves."""
    count, sizes = shape[0], torch.tensor(shape[2:], dtype=torch.float64)
    is_2d = shape[4] == 1
    angles = torch.empty(count, 3, dtype=torch.float64).uniform_(-1, 1, generator=generator)
    angles *= math.radians(config.rotation_degrees)
    if is_2d:
        angles[:, :2] = 0
    limit = math.log1p(config.scale)
    scales = torch.empty(count, dtype=torch.float64).uniform_(-limit, limit, generator=generator).exp()
    is_moved = torch.rand(count, generator=generator) < config.affine_share
    flips = torch.rand(count, 3, generator=generator) < 0.5
    signs = torch.ones(count, 3, dtype=torch.float64)
    for axis in config.mirror_axes:
        signs[:, axis] = torch.where(flips[:, axis], -1.0, 1.0)
    if not is_moved.any() and bool((signs > 0).all()):
        return None
    rigid = _rotations(angles) * scales[:, None, None]
    if is_2d:
        rigid[:, 2, 2] = 1.0
    rigid = torch.where(is_moved[:, None, None], rigid, torch.eye(3, dtype=torch.float64))
    half_mm = sizes * torch.tensor(config.spacing_mm, dtype=torch.float64) / 2
    normalised = (rigid * signs[:, None, :]) * half_mm[None, None, :] / half_mm[None, :, None]
    return normalised.flip(1, 2)


def _rotations(angles: Tensor) -> Tensor:
    """Rotation matrices `(B, 3, 3)` about i, then j, then k; angles `(B, 3)` in radians."""
    cos, sin = angles.cos(), angles.sin()
    total = torch.eye(3, dtype=angles.dtype).expand(len(angles), 3, 3)
    for axis in range(3):
        first, second = [other for other in range(3) if other != axis]
        turn = torch.eye(3, dtype=angles.dtype).repeat(len(angles), 1, 1)
        turn[:, first, first] = turn[:, second, second] = cos[:, axis]
        turn[:, first, second], turn[:, second, first] = -sin[:, axis], sin[:, axis]
        total = turn @ total
    return total


def _transform(image: Tensor, label: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Sample image linearly and label at the nearest voxel; outside the patch both are 0, the mean and background."""
    grid = _grid(image, theta)
    moved = functional.grid_sample(image, grid, mode="bilinear", align_corners=False)
    moved_label = functional.grid_sample(label.to(image.dtype), grid, mode="nearest", align_corners=False)
    return moved, moved_label.to(label.dtype)


def _transform_values(image: Tensor, values: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Sample both linearly; a value is known where all that it is made of is, and the image is 0 outside the patch."""
    grid = _grid(image, theta)
    known = ~values.isnan()
    filled = torch.cat([image, values.nan_to_num(0.0), known.to(image.dtype)], dim=1)
    moved = functional.grid_sample(filled, grid, mode="bilinear", align_corners=False)
    count = values.shape[1]
    share = moved[:, -count:]
    return moved[:, : -2 * count], torch.where(share > _KNOWN, moved[:, -2 * count : -count] / share, torch.nan)


def _grid(image: Tensor, theta: Tensor) -> Tensor:
    """Where each voxel of moved images is taken from, as `grid_sample` has it."""
    matrices = torch.cat([theta, theta.new_zeros(len(theta), 3, 1)], dim=2).to(image.dtype)
    return functional.affine_grid(matrices, list(image.shape), align_corners=False)
