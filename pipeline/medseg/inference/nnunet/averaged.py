"""One network made of a model's folds and their mirrored copies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from torch import Tensor, nn


class AveragedNetwork(nn.Module):
    """Mean logits of several networks, each on all mirrored copies of its input.

    Args:
        networks: Networks of the folds.
        mirror_axes: Spatial axes of the input along which copies are mirrored, in every combination.
    """

    def __init__(self, networks: Sequence[nn.Module], mirror_axes: Sequence[int]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.copies = [
            [axis + 2 for axis in axes]
            for count in range(len(mirror_axes) + 1)
            for axes in combinations(mirror_axes, count)
        ]

    @property
    def first(self) -> nn.Module:
        """Network of the first fold."""
        return self.networks[0]

    def forward(self, x: Tensor) -> Tensor:
        """Input `(B, C, I, J[, K])` to mean logits `(B, channels, I, J[, K])`, float32."""
        total: Tensor | None = None
        for network in self.networks:
            for axes in self.copies:
                logits = network(x.flip(axes)).flip(axes) if axes else network(x)
                total = logits.float() if total is None else total.add_(logits)
        if total is None:
            raise ValueError("networks must not be empty")
        count = len(self.networks) * len(self.copies)
        return total.div_(count) if count > 1 else total
