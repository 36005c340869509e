"""Cutting feature maps to the size of others."""

from __future__ import annotations

from torch import Tensor, nn


class CutTo(nn.Module):
    """Cuts off the voxels at the end of an axis that halving an odd size, rounded up, and doubling it have added."""

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        """X `(B, C, …)` and a tensor `(B, any, …)`, nowhere larger, to `(B, C, …)` of the size of the latter."""
        for axis, size in enumerate(like.shape[2:], start=2):
            if x.shape[axis] > size:
                x = x.narrow(axis, 0, size)
        return x
