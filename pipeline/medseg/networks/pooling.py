"""Average pooling of volumes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class AvgPool3d(nn.AvgPool3d):
    """PyTorch's average pooling, but for bfloat16 on the CPU, which it lacks there.

    Under autocast PyTorch pools such a tensor in float32 and in channels-first order, copying it four times on the
    way. A convolution with the constant weights of the mean is the same sum, rounded alike, without the copies. Windows
    that do not overlap and fill the volume are computed so; all others as PyTorch does.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Mean of every window; x of shape `(B, C, I, J, K)`."""
        size, stride = tuple(self.kernel_size), tuple(self.stride)  # type: ignore[arg-type]  # built with tuples
        fills = all(n % s == 0 for n, s in zip(x.shape[2:], stride, strict=True))
        if x.dtype != torch.bfloat16 or x.device.type != "cpu" or size != stride or not fills:
            return super().forward(x)
        channels = x.shape[1]
        mean = torch.eye(channels, dtype=x.dtype).div_(size[0] * size[1] * size[2])
        weight = mean.view(channels, channels, 1, 1, 1).expand(-1, -1, *size)
        return functional.conv3d(x, weight.contiguous(memory_format=torch.channels_last_3d), stride=stride)
