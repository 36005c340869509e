"""Number formats and memory layouts that a device is fast with."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from medseg.networks.small_maps import make_careful

PrecisionKind = Literal["auto", "bf16", "fp32"]


def uses_bf16(device: torch.device, precision: PrecisionKind = "auto") -> bool:
    """Whether autocast to bfloat16 is used: as given, or with `auto` if the hardware multiplies it natively."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def autocast(device: torch.device, precision: PrecisionKind = "auto") -> AbstractContextManager[object]:
    """Autocast to bfloat16 if `uses_bf16`, else nothing; bfloat16 has float32's range and needs no loss scaling."""
    if uses_bf16(device, precision):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def memory_format(spatial_dims: int, device: torch.device) -> torch.memory_format:
    """Layout of weights and images that a device is fastest with: channels last, but for volumes on CUDA.

    On CUDA, 3D instance norm copies channels-last tensors back and forth; `benchmarks/README.md` has the times of both.

    Args:
        spatial_dims: 2 or 3.
        device: Device that computes.
    """
    if spatial_dims == 2:
        return torch.channels_last
    return torch.contiguous_format if device.type == "cuda" else torch.channels_last_3d


def to_device(network: nn.Module, device: torch.device, *, spatial_dims: int) -> nn.Module:
    """Move a network's weights, in place, to a device and into the layout that it is fastest with.

    Its convolutions become careful ones (`medseg.networks.small_maps`).
    """
    make_careful(network)
    for parameter in network.to(device).parameters():
        if parameter.ndim == spatial_dims + 2:
            parameter.data = parameter.data.contiguous(memory_format=memory_format(spatial_dims, device))
    return network


def widened(values: Tensor) -> Tensor:
    """The same values in float32, for sums over many of them; float64 stays what it is."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
