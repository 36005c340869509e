"""What every classifier is made of before its last linear layer."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn


class Backbone(NamedTuple):
    """A network without its last linear layer.

    Attributes:
        body: Picture `(B, C, H, W)` to the last convolutional map `(B, channels, h, w)`.
        neck: That map to features `(B, features)`.
        features: Their number.
    """

    body: nn.Module
    neck: nn.Module
    features: int


def mean_over_picture() -> nn.Sequential:
    """Map `(B, F, h, w)` to its mean `(B, F)`.

    Source: Lin et al. 2013, https://arxiv.org/abs/1312.4400, section 3.2.
    """
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
