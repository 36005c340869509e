"""Intensities of a scan, normalised channel by channel."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from medseg.preprocess.config import ChannelNormalisation, PreprocessConfig

Change = Callable[[Tensor], Tensor]


def normalisation(image: Tensor, config: PreprocessConfig) -> Change:
    """Function that normalises any part `(C, …)` of an image as configured.

    Args:
        image: The whole scan `(C, I, J, K)`; its statistics are those of every part.
        config: Configuration with an entry per channel.
    """
    changes = [_change(channel, kind) for channel, kind in zip(image, config.normalisation, strict=True)]

    def normalise(part: Tensor) -> Tensor:
        if len(changes) == 1:
            return changes[0](part)
        return torch.stack([change(channel) for change, channel in zip(changes, part, strict=True)])

    return normalise


def _change(channel: Tensor, config: ChannelNormalisation) -> Change:
    """Change of one channel; its arithmetic is that of MONAI's `NormalizeIntensity` and `ThresholdIntensity`."""
    if config.kind == "none":
        return lambda part: part.float()
    if config.kind == "zscore" or config.clip_hu is None or config.mean_hu is None or config.std_hu is None:
        values = channel.float()
        mean, deviation = values.mean().item(), values.std(unbiased=False).item() or 1.0
        return lambda part: (part.float() - mean).div_(deviation)
    low, high = config.clip_hu
    mean_hu, std_hu = config.mean_hu, config.std_hu
    return lambda part: part.float().clamp(low, high).sub_(mean_hu).div_(std_hu)
