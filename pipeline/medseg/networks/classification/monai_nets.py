"""Newer nets from MONAI: DenseNet-121 and EfficientNet-B0."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import Tensor, nn

from medseg.networks.classification.backbone import Backbone, mean_over_picture
from medseg.networks.classification.config import ClassifierConfig
from medseg.networks.load_monai import load_monai_nets

# With MONAI's 0.01, the statistics after a training of minutes are still those of the start.
_MOMENTUM = 0.1


def build_densenet121(config: ClassifierConfig) -> Backbone:
    """Four dense blocks and the mean over the picture.

    Source: Huang et al. 2016, https://arxiv.org/abs/1608.06993, table 1.
    """
    network = load_monai_nets().DenseNet121(spatial_dims=2, in_channels=config.in_channels, out_channels=1)
    body = nn.Sequential(OrderedDict(features=network.features, relu=network.class_layers.relu))
    return Backbone(body, mean_over_picture(), network.class_layers.out.in_features)


def build_efficientnet_b0(config: ClassifierConfig) -> Backbone:
    """Inverted residuals with squeeze and excitation, the mean over the picture and dropout.

    Source: Tan and Le 2019, https://arxiv.org/abs/1905.11946, table 1.
    """
    network = load_monai_nets().EfficientNetBN(
        "efficientnet-b0", pretrained=False, spatial_dims=2, in_channels=config.in_channels, num_classes=1
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = _MOMENTUM
    neck = nn.Sequential(*mean_over_picture(), network._dropout)
    return Backbone(EfficientNetBody(network), neck, network._fc.in_features)


class EfficientNetBody(nn.Module):
    """MONAI's EfficientNet up to its last convolutional map, which its own forward does not return."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.stem = nn.Sequential(network._conv_stem_padding, network._conv_stem, network._bn0, network._swish)
        self.blocks = network._blocks
        self.last = nn.Sequential(network._conv_head_padding, network._conv_head, network._bn1, network._swish)

    def forward(self, x: Tensor) -> Tensor:
        """X `(B, C, H, W)` to the last feature map `(B, 1280, h, w)`."""
        features: Tensor = self.last(self.blocks(self.stem(x)))
        return features
