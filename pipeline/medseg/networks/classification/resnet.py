"""Residual networks for pictures, and the same depth without shortcuts."""

from __future__ import annotations

from torch import Tensor, nn

from medseg.networks.block import BlockStyle, build_block
from medseg.networks.classification.backbone import Backbone, mean_over_picture
from medseg.networks.classification.config import ClassifierConfig
from medseg.networks.classification.initialise import he_initialise
from medseg.networks.config import BlockKind


def build_resnet(config: ClassifierConfig) -> Backbone:
    """A residual or plain net: stem, stages, the mean over the picture.

    Source: He et al. 2015, https://arxiv.org/abs/1512.03385, table 1 (ImageNet), section 4.2 (small pictures).
    """
    body = ResNetBody(config)
    he_initialise(body)
    return Backbone(body, mean_over_picture(), body.channels)


class ResNetBody(nn.Module):
    """A stem, and stages of the blocks of the UNet's encoder; each stage doubles the width.

    Args:
        config: Shape of a residual or plain net.

    Attributes:
        channels: Channels of the last feature map.
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        kind = config.facts.block
        if kind is None:
            raise ValueError(f"architecture must be a residual or plain net, got {config.architecture}")
        style = BlockStyle(2, "batch", config.nonlinearity, shortcut=config.shortcut)
        self.stem = _build_stem(config, style)
        self.stages = nn.Sequential()
        self.channels = config.width
        for number, count in enumerate(config.stage_blocks):
            outputs = config.width * 2**number * (4 if config.is_bottleneck else 1)
            stride = (2, 2) if number else style.unit
            self.stages.append(_build_stage(kind, style, self.channels, outputs, count, stride=stride))
            self.channels = outputs

    def forward(self, x: Tensor) -> Tensor:
        """X `(B, C, H, W)` to the last feature map `(B, channels, h, w)`."""
        features: Tensor = self.stages(self.stem(x))
        return features


def _build_stem(config: ClassifierConfig, style: BlockStyle) -> nn.Sequential:
    if config.stem == "small":
        conv = style.conv_norm(config.in_channels, config.width, kernel=(3, 3), stride=style.unit)
        return nn.Sequential(conv, style.act())
    conv = style.conv_norm(config.in_channels, config.width, kernel=(7, 7), stride=(2, 2))
    return nn.Sequential(conv, style.act(), nn.MaxPool2d(3, stride=2, padding=1))


def _build_stage(
    kind: BlockKind, style: BlockStyle, inputs: int, outputs: int, count: int, *, stride: tuple[int, ...]
) -> nn.Sequential:
    first = build_block(kind, style, inputs, outputs, kernel=(3, 3), stride=stride)
    rest = (build_block(kind, style, outputs, outputs, kernel=(3, 3), stride=style.unit) for _ in range(count - 1))
    return nn.Sequential(first, *rest)
