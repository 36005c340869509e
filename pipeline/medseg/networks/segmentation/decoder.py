"""The decoder: from the coarsest features back to the image's grid, joined by the encoder's skips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from medseg.networks.block import BlockStyle
from medseg.networks.config import NetworkConfig
from medseg.networks.cut import CutTo
from medseg.networks.layers import CONV, TRANSPOSED_CONV


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
            self.stages.append(_build_convs(config, style, stage=stage, width=width))
            has_head = stage == 0 or config.deep_supervision
            stride = strides[0] if stage == 0 else style.unit
            self.heads.append(_build_head(config, width, stride=stride) if has_head else nn.Identity())
        if len(channels) == 1:
            self.heads.append(_build_head(config, channels[0], stride=strides[0]))
        self.cut = CutTo()
        self.is_added = config.skips == "added"

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Feature maps, finest first, to logits `(B, out_channels, …)` per supervised stage, finest first.

        In inference mode a list of feature maps is emptied while they are used, and no layer's input outlives the
        layer: that halves the memory.
        """
        is_lean = torch.is_inference_mode_enabled()
        left = features if is_lean and isinstance(features, list) else list(features)
        x = left.pop()
        if not self.stages:
            return [self.heads[0](x)]
        logits: list[Tensor] = []
        for stage, layers in reversed(list(enumerate(self.stages))):
            joined = [self._joined(stage, x, left.pop())]
            x = _in_turn(layers, joined) if is_lean else layers(joined.pop())
            if not isinstance(self.heads[stage], nn.Identity):
                logits.insert(0, self.heads[stage](x))
        return logits

    def _joined(self, stage: int, x: Tensor, skip: Tensor) -> Tensor:
        """Input of a stage: the features of the coarser one, raised, and the encoder's."""
        raised: Tensor = self.cut(self.up[stage](x), skip)
        return raised + skip if self.is_added else torch.cat([raised, skip], dim=1)


def _in_turn(layers: nn.Module, held: list[Tensor]) -> Tensor:
    """Output of a stage for the one tensor that is held, which is let go as soon as the first layer has used it."""
    x = held.pop()
    for layer in _leaves(layers):
        x = layer(x)
    return x


def _leaves(layer: nn.Module) -> Iterator[nn.Module]:
    """Layers in the order in which they are applied."""
    if isinstance(layer, nn.Sequential):
        for part in layer:
            yield from _leaves(part)
    else:
        yield layer


def _build_upsampling(config: NetworkConfig, inputs: int, outputs: int, *, stride: Sequence[int]) -> nn.Module:
    size = tuple(stride)
    if config.upsampling == "transposed":
        return TRANSPOSED_CONV[config.spatial_dims](inputs, outputs, size, size)
    mode = "bilinear" if config.spatial_dims == 2 else "trilinear"
    pointwise = CONV[config.spatial_dims](inputs, outputs, 1)
    return nn.Sequential(pointwise, nn.Upsample(scale_factor=tuple(float(s) for s in size), mode=mode))


def _build_convs(config: NetworkConfig, style: BlockStyle, *, stage: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(config.decoder_blocks[stage]):
        inputs = 2 * width if index == 0 and config.skips == "concatenated" else width
        layers += [style.conv_norm(inputs, width, kernel=config.kernels[stage], stride=style.unit), style.act()]
    return nn.Sequential(*layers)


def _build_head(config: NetworkConfig, width: int, *, stride: Sequence[int]) -> nn.Module:
    """Features to logits, on the image's grid where the first stage's is coarser: one set of weights per sub-voxel."""
    size = tuple(stride)
    layers = TRANSPOSED_CONV if max(size) > 1 else CONV
    return layers[config.spatial_dims](width, config.out_channels, size, size)
