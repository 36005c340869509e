"""GoogLeNet with batch normalisation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from medseg.networks.block import BlockStyle
from medseg.networks.classification.backbone import Backbone, mean_over_picture
from medseg.networks.classification.config import ClassifierConfig
from medseg.networks.classification.initialise import he_initialise


class _Row(NamedTuple):
    """Widths of an inception module: 1×1; 3×3 and its reduction; double 3×3 and its reduction; the pool's projection.

    A width of 0 leaves a 1×1 convolution out.
    """

    single: int
    reduce: int
    triple: int
    double_reduce: int
    double: int
    pool: str
    project: int
    stride: int


_ROWS = (
    _Row(64, 64, 64, 64, 96, "avg", 32, 1), _Row(64, 64, 96, 64, 96, "avg", 64, 1),
    _Row(0, 128, 160, 64, 96, "max", 0, 2),
    _Row(224, 64, 96, 96, 128, "avg", 128, 1), _Row(192, 96, 128, 96, 128, "avg", 128, 1),
    _Row(160, 128, 160, 128, 160, "avg", 128, 1), _Row(96, 128, 192, 160, 192, "avg", 128, 1),
    _Row(0, 128, 192, 192, 256, "max", 0, 2),
    _Row(352, 192, 320, 160, 224, "avg", 128, 1), _Row(352, 192, 320, 192, 224, "max", 128, 1),
)  # fmt: skip


def build_bn_inception(config: ClassifierConfig) -> Backbone:
    """A stem, ten inception modules and the mean over the picture.

    Source: Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167, fig. 5, with the widths of the network that was
    released for Caffe: modules 4c and 4d project their pool to 128 channels where the paper's table says 96.
    """
    style = BlockStyle(2, "batch", config.nonlinearity)
    stem = nn.Sequential(
        *_conv(style, config.in_channels, 64, kernel=7, stride=2), nn.MaxPool2d(3, 2, ceil_mode=True),
        *_conv(style, 64, 64, kernel=1), *_conv(style, 64, 192), nn.MaxPool2d(3, 2, ceil_mode=True),
    )  # fmt: skip
    stages, inputs = nn.Sequential(), 192
    for row in _ROWS:
        module = InceptionModule(style, inputs, row)
        stages.append(module)
        inputs = module.outputs
    body = nn.Sequential(stem, stages)
    he_initialise(body)
    return Backbone(body, mean_over_picture(), inputs)


class InceptionModule(nn.Module):
    """Up to four paths whose channels are joined: 1×1, 3×3, double 3×3 and pooling."""

    def __init__(self, style: BlockStyle, inputs: int, row: _Row) -> None:
        super().__init__()
        pool = nn.AvgPool2d(3, row.stride, 1) if row.pool == "avg" else nn.MaxPool2d(3, row.stride, 1)
        paths = [
            _conv(style, inputs, row.reduce, kernel=1) + _conv(style, row.reduce, row.triple, stride=row.stride),
            _conv(style, inputs, row.double_reduce, kernel=1)
            + _conv(style, row.double_reduce, row.double)
            + _conv(style, row.double, row.double, stride=row.stride),
            [pool, *(_conv(style, inputs, row.project, kernel=1) if row.project else [])],
        ]
        if row.single:
            paths.insert(0, _conv(style, inputs, row.single, kernel=1))
        self.paths = nn.ModuleList(nn.Sequential(*path) for path in paths)
        self.outputs = row.single + row.triple + row.double + (row.project or inputs)

    def forward(self, x: Tensor) -> Tensor:
        """X `(B, inputs, H, W)` to `(B, outputs, H, W)`, or half that size for the strided modules."""
        return torch.cat([path(x) for path in self.paths], dim=1)


def _conv(style: BlockStyle, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    """A convolution, its norm and the non-linearity."""
    return [style.conv_norm(inputs, outputs, kernel=(kernel, kernel), stride=(stride, stride)), style.act()]
