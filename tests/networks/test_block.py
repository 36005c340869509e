"""Blocks: their shortcuts, shapes and parameters."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from medseg.networks.block import BasicResidualBlock, BlockStyle, build_block, build_shortcut
from medseg.networks.config import ActivationKind, BlockKind, NormKind
from medseg.networks.cost import count_parameters
from torch import nn
from torch.nn import functional

PLAIN = BlockStyle(3, "none", "relu")


def test_shortcut_is_the_identity_where_the_shape_stays() -> None:
    assert isinstance(build_shortcut(PLAIN, 4, 4, stride=(1, 1, 1)), nn.Identity)


def test_strided_shortcut_averages_and_learns_nothing_where_the_width_stays() -> None:
    shortcut = build_shortcut(PLAIN, 4, 4, stride=(2, 2, 1))
    x = torch.randn(2, 4, 6, 8, 5)
    assert count_parameters(shortcut) == 0
    torch.testing.assert_close(shortcut(x), x.reshape(2, 4, 3, 2, 4, 2, 5).mean(dim=(3, 5)))


def test_wider_shortcut_is_a_1x1_convolution() -> None:
    assert count_parameters(build_shortcut(PLAIN, 4, 8, stride=(1, 1, 1))) == 4 * 8 + 8


def test_strided_shortcut_of_the_paper_skips_pixels() -> None:
    style = BlockStyle(2, "none", "relu", shortcut="strided")
    shortcut = build_shortcut(style, 4, 8, stride=(2, 1))
    x = torch.randn(2, 4, 7, 5)
    (layer,) = [module for module in shortcut.modules() if isinstance(module, nn.Conv2d)]
    torch.testing.assert_close(shortcut(x), functional.conv2d(x[:, :, ::2], layer.weight, layer.bias))
    assert isinstance(build_shortcut(style, 4, 4, stride=(1, 1)), nn.Identity)
    assert count_parameters(build_shortcut(style, 4, 4, stride=(2, 1))) == 4 * 4 + 4


def test_residual_block_with_silent_convolutions_hands_its_input_on() -> None:
    block = BasicResidualBlock(PLAIN, 4, 4, kernel=(3, 3, 3), stride=(1, 1, 1))
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(2, 4, 5, 6, 7)
    assert torch.equal(block(x.clone()), x.clamp_min(0))


def test_plain_block_is_two_convolutions_with_activations() -> None:
    style = BlockStyle(2, "none", "leaky_relu")
    block = build_block("plain", style, 2, 3, kernel=(3, 5), stride=(1, 2))
    x = torch.randn(2, 2, 6, 8)
    first, second = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    expected = functional.leaky_relu(functional.conv2d(x, first.weight, first.bias, (1, 2), (1, 2)), 0.01)
    expected = functional.leaky_relu(functional.conv2d(expected, second.weight, second.bias, 1, (1, 2)), 0.01)
    torch.testing.assert_close(block(x), expected)


def test_bottleneck_works_at_a_quarter_of_its_width() -> None:
    block = build_block("bottleneck", PLAIN, 8, 8, kernel=(3, 3, 3), stride=(1, 1, 1))
    reduce, middle, expand = 8 * 2 + 2, 2 * 2 * 27 + 2, 2 * 8 + 8
    assert count_parameters(block) == reduce + middle + expand


@pytest.mark.parametrize("kind", ["plain", "residual", "bottleneck"])
@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 2, 2), (2, 1, 2)])
def test_blocks_reduce_odd_sizes_to_the_stride_s_share_rounded_up(kind: BlockKind, stride: tuple[int, ...]) -> None:
    block = build_block(kind, BlockStyle(3, "instance", "relu"), 4, 8, kernel=(3, 1, 5), stride=stride)
    expected = tuple(-(-size // step) for size, step in zip((7, 8, 9), stride, strict=True))
    assert block(torch.randn(1, 4, 7, 8, 9)).shape == (1, 8, *expected)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("relu", lambda x: x.clamp_min(0)),
        ("leaky_relu", lambda x: torch.where(x > 0, x, 0.01 * x)),
        ("prelu", lambda x: torch.where(x > 0, x, 0.25 * x)),
        ("gelu", lambda x: x * torch.distributions.Normal(0.0, 1.0).cdf(x)),
        ("silu", lambda x: x / (1 + torch.exp(-x))),
    ],
)
def test_activations_are_the_functions_of_their_names(activation: ActivationKind, expected: object) -> None:
    x = torch.linspace(-3, 3, 31)
    layer = BlockStyle(2, "none", activation).act()
    torch.testing.assert_close(layer(x.clone()), expected(x))  # type: ignore[operator]  # a function


@pytest.mark.parametrize(("norm", "spatial_dims"), list(product(["instance", "batch", "group", "none"], [2, 3])))
def test_convolutions_have_a_bias_only_where_no_norm_follows(norm: NormKind, spatial_dims: int) -> None:
    block = build_block(
        "residual", BlockStyle(spatial_dims, norm, "relu"), 4, 4, kernel=(3,) * spatial_dims, stride=(1,) * spatial_dims
    )
    convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d | nn.Conv3d)]
    assert len(convolutions) == 2
    assert all((layer.bias is not None) == (norm == "none") for layer in convolutions)
