"""The encoder: stages of blocks, each coarser and wider than the last."""

from __future__ import annotations

from torch import Tensor, nn

from medseg.networks.block import BlockStyle, build_block
from medseg.networks.config import NetworkConfig
from medseg.networks.layers import MAX_POOL


class Encoder(nn.Module):
    """Turns an image into one feature map per stage.

    Attributes:
        channels: Feature channels of each stage, finest first.
        strides: Reduction of each stage's input, per axis.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.channels = config.channels
        self.strides = config.strides
        inputs = (config.in_channels, *config.channels[:-1])
        self.stages = nn.ModuleList(_build_stage(config, stage, inputs[stage]) for stage in range(len(config.channels)))

    def forward(self, x: Tensor) -> list[Tensor]:
        """X `(B, in_channels, …)` to feature maps `(B, channels[n], …)`, finest first."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def _build_stage(config: NetworkConfig, stage: int, inputs: int) -> nn.Sequential:
    style = BlockStyle(config.spatial_dims, config.norm, config.activation)
    outputs, kernel, stride = config.channels[stage], config.kernels[stage], config.strides[stage]
    layers: list[nn.Module] = []
    if config.downsampling == "maxpool" and max(stride) > 1:
        layers.append(MAX_POOL[config.spatial_dims](stride, stride, ceil_mode=True))
        stride = style.unit
    for index in range(config.blocks[stage]):
        layers.append(
            build_block(
                config.block,
                style,
                inputs if index == 0 else outputs,
                outputs,
                kernel=kernel,
                stride=stride if index == 0 else style.unit,
            )
        )
    return nn.Sequential(*layers)
