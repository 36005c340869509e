"""Gradients of maps smaller than a kernel, in bfloat16 on the CPU."""

from __future__ import annotations

from copy import deepcopy
from itertools import product

import pytest
import torch
from medseg.networks.precision import to_device
from medseg.networks.small_maps import CarefulConv2d, CarefulConv3d
from torch import nn

CPU = torch.device("cpu")
CONVOLUTIONS = (
    nn.Conv3d(32, 32, 3, padding=1, bias=False),
    nn.Conv3d(64, 64, (3, 3, 1), padding=(1, 1, 0), bias=False),
    nn.Conv3d(64, 64, 3, stride=2, padding=1, bias=False),
    nn.Conv2d(64, 64, 3, stride=2, padding=1, bias=False),
    nn.Conv2d(128, 128, 5, padding=2, bias=False),
)


def soil(numel: int) -> None:
    """Leave NaN in memory that is free, for whoever reads it before writing."""
    for size in (numel, numel // 2, 2 * numel, 4 * numel, 4096):
        torch.full((size,), float("nan"))


def gradients(layer: nn.Module, image: torch.Tensor, *, bf16: bool) -> list[torch.Tensor]:
    """Gradients of the image and of the weights."""
    image = image.clone().requires_grad_()
    layer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        result = layer(image)
    torch.autograd.backward(result.float().square().sum())
    return [grad for grad in (image.grad, layer.get_parameter("weight").grad) if grad is not None]


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=str)
def test_gradients_of_small_maps_are_those_of_float32(layer: nn.Module) -> None:
    axes = 3 if isinstance(layer, nn.Conv3d) else 2
    careful = to_device(nn.Sequential(deepcopy(layer)), CPU, spatial_dims=axes)[0]  # type: ignore[index]  # a module
    layout = torch.channels_last_3d if axes == 3 else torch.channels_last
    for shape in product((1, 2, 4), repeat=axes):
        image = torch.randn(1, layer.get_parameter("weight").shape[1], *shape).contiguous(memory_format=layout)
        for _ in range(4):
            soil(layer.get_parameter("weight").numel())
            wanted, got = (gradients(one, image, bf16=bf16) for one, bf16 in ((layer, False), (careful, True)))
            for reference, gradient in zip(wanted, got, strict=True):
                scale = float(reference.abs().max())
                assert float((gradient - reference).abs().max()) <= 0.05 * scale + 1e-6, shape


def test_weights_names_and_values_stay() -> None:
    plain = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 4, 3)))
    careful = to_device(deepcopy(plain), CPU, spatial_dims=3)
    assert isinstance(careful[0], CarefulConv3d)  # type: ignore[index]  # it is a sequence
    assert isinstance(careful[2][0], CarefulConv2d)  # type: ignore[index]
    assert all(torch.equal(value, careful.state_dict()[name]) for name, value in plain.state_dict().items())
    image = torch.randn(1, 1, 2, 8, 8)
    assert torch.equal(plain[0](image), careful[0](image))  # type: ignore[index]


def test_large_maps_stay_in_bfloat16() -> None:
    careful = to_device(nn.Conv3d(4, 4, 3, padding=1), CPU, spatial_dims=3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert careful(torch.randn(1, 4, 3, 4, 5)).dtype == torch.bfloat16
        assert careful(torch.randn(1, 4, 2, 4, 5)).dtype == torch.float32
