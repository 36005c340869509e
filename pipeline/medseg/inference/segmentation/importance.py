"""Weights of the voxels of a window where windows overlap."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

_SIGMA = 0.125  # of the window
_LEAST = 1e-3


@lru_cache(maxsize=8)
def gaussian_importance(patch_size: tuple[int, ...], *, device: torch.device) -> Tensor:
    """Gaussian weights that are 1 in the middle of a window, as MONAI's `compute_importance_map` gives them.

    Args:
        patch_size: Voxels of the window.
        device: Device of the weights.

    Returns:
        float32 of the window's shape, at least 0.001; it is shared and must not be changed.
    """
    weights = torch.ones((), device=device)
    for size in patch_size:
        distance = torch.arange(-(size - 1) / 2, (size - 1) / 2 + 1, dtype=torch.float, device=device)
        weights = weights[..., None] * torch.exp(distance**2 / (-2 * (_SIGMA * size) ** 2))
    return weights.clamp_(min=max(float(weights.min()), _LEAST))
