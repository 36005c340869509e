"""PyTorch's layers by their number of spatial dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from medseg.networks.pooling import AvgPool3d

Layer = Callable[..., nn.Module]

CONV: Mapping[int, Layer] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED_CONV: Mapping[int, Layer] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
MAX_POOL: Mapping[int, Layer] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVG_POOL: Mapping[int, Layer] = {2: nn.AvgPool2d, 3: AvgPool3d}
BATCH_NORM: Mapping[int, Layer] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
