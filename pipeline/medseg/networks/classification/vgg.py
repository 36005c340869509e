"""VGG-16."""

from __future__ import annotations

from torch import nn

from medseg.networks.block import BlockStyle
from medseg.networks.classification.backbone import Backbone
from medseg.networks.classification.config import ClassifierConfig
from medseg.networks.classification.initialise import he_initialise

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # width and number of convolutions


def build_vgg16(config: ClassifierConfig) -> Backbone:
    """Thirteen 3×3 convolutions in five stages and two fully connected layers, for pictures of at least 32 pixels.

    Source: Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556, table 1, column D.
    """
    style = BlockStyle(2, "none", config.nonlinearity)
    layers: list[nn.Module] = []
    inputs = config.in_channels
    for width, count in _STAGES:
        for _ in range(count):
            layers += [style.conv(inputs, width, kernel=(3, 3), stride=(1, 1)), style.act()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    body, last_pool = nn.Sequential(*layers[:-1]), layers[-1]
    neck = nn.Sequential(
        last_pool, nn.AdaptiveAvgPool2d(7), nn.Flatten(),
        nn.Linear(512 * 49, 4096), style.act(), nn.Dropout(), nn.Linear(4096, 4096), style.act(), nn.Dropout(),
    )  # fmt: skip
    he_initialise(body)
    he_initialise(neck)
    return Backbone(body, neck, 4096)
