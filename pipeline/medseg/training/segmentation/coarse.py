"""The first part of a training, on coarser voxels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from medseg.configuration import Config, Voxels


class CoarseStart(Config):
    """A first share of the training, on patches whose voxels are several of the network's grid.

    A step on them costs a fraction of one on the grid itself and sees more of a scan; the same weights go on from
    there.

    Attributes:
        share: Share of the training.
        factor: Voxels of the grid that are averaged along each axis.
        patch_size: Coarse voxels of a patch.
        batch_size: Patches per step.
    """

    share: float = Field(gt=0, lt=1)
    factor: tuple[Voxels, Voxels, Voxels]
    patch_size: tuple[Voxels, Voxels, Voxels]
    batch_size: int = Field(ge=1)


def coarse_image(image: Tensor, factor: Sequence[int]) -> Tensor:
    """Average blocks of voxels: `(C, I, J, K)` to `(C, I/f, J/f, K/f)`."""
    return functional.avg_pool3d(image, tuple(factor))


def coarse_label(label: Tensor, factor: Sequence[int]) -> Tensor:
    """The most frequent class index of each block of voxels; the first of them in a tie. Quantities are averaged.

    Args:
        label: Encoded label `(C, I, J, K)`.
        factor: Voxels of a block along each axis, which divide the label's shape.

    Returns:
        Shape `(C, I/f, J/f, K/f)`, of the same type.
    """
    if label.is_floating_point():
        return coarse_image(label, factor)
    f, g, h = factor
    count, i, j, k = label.shape
    blocks = label.reshape(count, i // f, f, j // g, g, k // h, h).permute(2, 4, 6, 0, 1, 3, 5).flatten(0, 2)
    most = torch.zeros(blocks.shape[1:], dtype=torch.int16)
    chosen = blocks[0]
    for value in blocks:
        votes = (blocks == value).sum(0, dtype=torch.int16)
        chosen = torch.where(votes > most, value, chosen)
        most = torch.maximum(votes, most)
    return chosen
