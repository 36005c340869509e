"""AlexNet."""

from __future__ import annotations

from torch import nn

from medseg.networks.block import BlockStyle
from medseg.networks.classification.backbone import Backbone
from medseg.networks.classification.config import ClassifierConfig
from medseg.networks.classification.initialise import he_initialise


def build_alexnet(config: ClassifierConfig) -> Backbone:
    """Five convolutions and two fully connected layers, for pictures of at least 63 pixels a side.

    Source: Krizhevsky 2014, https://arxiv.org/abs/1404.5997 (the one-tower form; torchvision's layout).
    """
    style = BlockStyle(2, "none", config.nonlinearity)
    body = nn.Sequential(
        nn.Conv2d(config.in_channels, 64, 11, stride=4, padding=2), style.act(), nn.MaxPool2d(3, 2),
        style.conv(64, 192, kernel=(5, 5), stride=(1, 1)), style.act(), nn.MaxPool2d(3, 2),
        style.conv(192, 384, kernel=(3, 3), stride=(1, 1)), style.act(),
        style.conv(384, 256, kernel=(3, 3), stride=(1, 1)), style.act(),
        style.conv(256, 256, kernel=(3, 3), stride=(1, 1)), style.act(),
    )  # fmt: skip
    neck = nn.Sequential(
        nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d(6), nn.Flatten(),
        nn.Dropout(), nn.Linear(256 * 36, 4096), style.act(), nn.Dropout(), nn.Linear(4096, 4096), style.act(),
    )  # fmt: skip
    he_initialise(body)
    he_initialise(neck)
    return Backbone(body, neck, 4096)
