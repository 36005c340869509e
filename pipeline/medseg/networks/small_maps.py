"""Convolutions of feature maps smaller than their kernel, on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CarefulConv2d(nn.Conv2d):
    """A convolution that computes maps smaller than its kernel in float32 on the CPU.

    There the gradient of the weights in bfloat16 holds memory that nobody has written: about half of the calls with
    maps of 2 voxels along the first axis give NaN or numbers up to 1e38 (torch 2.13, oneDNN, AVX-512; kernel 3).
    """

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Conv2d`; small maps under autocast come back in float32."""
        if is_small(x, self.kernel_size):
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())
        return super().forward(x)


class CarefulConv3d(nn.Conv3d):
    """The same in 3D."""

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Conv3d`; small maps under autocast come back in float32."""
        if is_small(x, self.kernel_size):
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())
        return super().forward(x)


def is_small(x: Tensor, kernel: tuple[int, ...]) -> bool:
    """Whether autocast on the CPU would compute a map in bfloat16 that is smaller than a kernel along some axis."""
    return x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and min(x.shape[2:]) < max(kernel)


def make_careful(network: nn.Module) -> None:
    """Turn every convolution of a network into a careful one, in place; weights and names stay."""
    careful: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: CarefulConv2d, nn.Conv3d: CarefulConv3d}
    for module in network.modules():
        module.__class__ = careful.get(type(module), type(module))
