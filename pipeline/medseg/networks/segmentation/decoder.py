"""The decoder: from the coarsest features back to the image's grid, joined by the encoder's skips."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.layers.factories import Conv
from torch import Tensor, nn

from medseg.networks.block import BlockStyle
from medseg.networks.config import NetworkConfig


class Decoder(nn.Module):
    """Turns an encoder's feature maps into logits.

    Args:
        config: Shape of the network.
        channels: Channels of each stage of the encoder, finest first.
        strides: Reduction of each stage of the encoder along each axis.
    """

    def __init__(self, config: NetworkConfig, *, channels: Sequence[int], strides: Sequence[Sequence[int]]) -> None:
        super().__init__()
        style = BlockStyle(config.spatial_dims, config.norm, config.activation)
        self.up = nn.ModuleList()
        self.stages = nn.ModuleList()
        self.heads = nn.ModuleList()
        for stage in range(len(channels) - 1):
            width = channels[stage]
            self.up.append(_build_upsampling(config, channels[stage + 1], width, stride=strides[stage + 1]))
            self.stages.append(_build_convs(style, width, config.decoder_blocks[stage], kernel=config.kernels[stage]))
            has_head = stage == 0 or config.deep_supervision
            self.heads.append(_build_head(config, width) if has_head else nn.Identity())
        if len(channels) == 1:
            self.heads.append(_build_head(config, channels[0]))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Feature maps, finest first, to logits `(B, out_channels, …)` per supervised stage, finest first."""
        x = features[-1]
        if not self.stages:
            return [self.heads[0](x)]
        logits: list[Tensor] = []
        for stage in reversed(range(len(self.stages))):
            x = self.stages[stage](torch.cat([self.up[stage](x), features[stage]], dim=1))
            if not isinstance(self.heads[stage], nn.Identity):
                logits.insert(0, self.heads[stage](x))
        return logits


def _build_upsampling(config: NetworkConfig, inputs: int, outputs: int, *, stride: Sequence[int]) -> nn.Module:
    size = tuple(stride)
    if config.upsampling == "transposed":
        layer: nn.Module = Conv[Conv.CONVTRANS, config.spatial_dims](inputs, outputs, size, size)
        return layer
    mode = "bilinear" if config.spatial_dims == 2 else "trilinear"
    pointwise = Conv[Conv.CONV, config.spatial_dims](inputs, outputs, 1)
    return nn.Sequential(pointwise, nn.Upsample(scale_factor=tuple(float(s) for s in size), mode=mode))


def _build_convs(style: BlockStyle, width: int, count: int, *, kernel: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(count):
        inputs = 2 * width if index == 0 else width
        layers += [style.conv_norm(inputs, width, kernel=kernel, stride=style.unit), style.act()]
    return nn.Sequential(*layers)


def _build_head(config: NetworkConfig, width: int) -> nn.Module:
    layer: nn.Module = Conv[Conv.CONV, config.spatial_dims](width, config.out_channels, 1)
    return layer
