"""The parts of a classifier before its last linear layer."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn


class Backbone(NamedTuple):
    """A network without its last linear layer.

    Attributes:
        body: Module from a picture `(B, C, H, W)` to the last convolutional map `(B, channels, h, w)`.
        neck: Module from that map to features `(B, features)`.
        features: Number of features.
    """

    body: nn.Module
    neck: nn.Module
    features: int


def mean_over_picture() -> nn.Sequential:
    """Map `(B, F, h, w)` to its mean `(B, F)`.

    Source: Lin et al. 2013, https://arxiv.org/abs/1312.4400, section 3.2.
    """
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
