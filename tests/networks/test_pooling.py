"""Average pooling in bfloat16 on the CPU is PyTorch's own in float32, rounded."""

from __future__ import annotations

import pytest
import torch
from medseg.networks.pooling import AvgPool3d
from torch import Tensor, nn


def volume(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, *shape, generator=generator).to(torch.bfloat16)
    return x.contiguous(memory_format=torch.channels_last_3d).requires_grad_()


@pytest.mark.parametrize(
    ("shape", "stride"),
    [((8, 6, 4), (2, 2, 2)), ((8, 6, 4), (2, 2, 1)), ((7, 6, 5), (2, 2, 2)), ((9, 6, 4), (3, 2, 1))],
)
def test_values_and_gradients_are_those_of_float32_rounded(
    shape: tuple[int, ...], stride: tuple[int, int, int]
) -> None:
    x, y = volume(*shape), volume(*shape)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = AvgPool3d(stride, stride, ceil_mode=True)(x)
    theirs = nn.AvgPool3d(stride, stride, ceil_mode=True)(y.float())
    torch.testing.assert_close(ours.float(), theirs.to(torch.bfloat16).float(), rtol=2**-7, atol=1e-6)
    ours.float().pow(2).sum().backward()
    theirs.pow(2).sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    torch.testing.assert_close(x.grad.float(), y.grad.float(), rtol=2**-6, atol=1e-3)


def test_windows_that_fill_the_volume_keep_format_and_layout() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pooled = AvgPool3d((2, 2, 2), (2, 2, 2), ceil_mode=True)(volume(8, 6, 4))
    assert pooled.dtype == torch.bfloat16
    assert pooled.is_contiguous(memory_format=torch.channels_last_3d)
