"""The moving average of the weights, which is what is delivered."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged_copy(network: nn.Module, *, decay: float) -> AveragedModel:
    """A copy that follows the network's weights as an exponential moving average.

    The decay after n updates is at most (1 + n) / (10 + n), so the average spans about the last tenth of a training
    of any length, up to the given decay.

    Source: the rule of TensorFlow's `ExponentialMovingAverage`; Polyak and Juditsky 1992,
    https://doi.org/10.1137/0330046.
    """

    @torch.no_grad()
    def update(averages: Sequence[Tensor], currents: Sequence[Tensor], count: Tensor | int) -> None:
        done = int(count)
        share = 1 - min(decay, (1 + done) / (10 + done))
        for average, current in zip(averages, currents, strict=True):
            average.lerp_(current, share) if average.is_floating_point() else average.copy_(current)

    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)
