"""Gradient norms by hand, and the growth that theory gives for nets without shortcuts."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from medseg.networks import gradient_norms
from medseg.networks.classification import ClassifierConfig, SliceClassifier
from torch import Tensor, nn
from torch.nn import functional


def two_scalars(*, between: nn.Module) -> nn.Sequential:
    """Multiplies by 2, then by 5."""
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), between, nn.Conv2d(1, 1, 1, bias=False))
    nn.init.constant_(network[0].weight, 2.0)  # type: ignore[arg-type]  # a convolution's
    nn.init.constant_(network[2].weight, 5.0)  # type: ignore[arg-type]  # a convolution's
    return network


def half_square(logits: Tensor, targets: Tensor) -> Tensor:
    return (logits - targets).pow(2).sum() / 2


def test_two_scalar_convolutions_have_the_gradients_of_the_chain_rule() -> None:
    norms = gradient_norms(
        two_scalars(between=nn.Identity()), torch.full((1, 1, 1, 1), 3.0), torch.tensor(1.0), half_square
    )
    slope = 5 * 2 * 3 - 1
    assert list(norms) == ["0", "2"]
    assert norms["2"] == (slope * 2 * 3, slope)
    assert norms["0"] == (slope * 5 * 3, slope * 5)


def test_output_is_meant_before_an_activation_that_works_in_place() -> None:
    x = torch.tensor([3.0, -3.0]).view(1, 1, 1, 2)
    norms = gradient_norms(
        two_scalars(between=nn.ReLU(inplace=True)), x, torch.tensor(0.0), lambda logits, _: logits.sum()
    )
    assert norms["0"] == (5 * 3, 5)
    assert norms["2"] == (2 * 3, pytest.approx(math.sqrt(2)))


class Backwards(nn.Module):
    """Names its convolutions in the reverse order of their use, and leaves one out."""

    def __init__(self) -> None:
        super().__init__()
        self.unused, self.last, self.first = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        self.last(first)
        logits: Tensor = first.sum()
        return logits


def test_convolutions_come_in_the_order_that_they_are_passed() -> None:
    norms = gradient_norms(Backwards(), torch.ones(1, 1, 2, 2), torch.tensor(0.0), lambda logits, _: logits)
    assert list(norms) == ["first", "last"]
    assert norms["first"].output == 2
    assert norms["last"] == (0, 0)


def test_network_is_left_as_it_was() -> None:
    network = SliceClassifier(ClassifierConfig(width=2, blocks=(1, 1), out_channels=2)).train()
    network.head.weight.grad = torch.ones_like(network.head.weight)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        norms = gradient_norms(network, torch.randn(2, 1, 16, 16), torch.tensor([0, 1]), functional.cross_entropy)
    assert [name.removeprefix("body.") for name in norms] == [
        "stem.0.0", "stages.0.0.first.0", "stages.0.0.second.0", "stages.1.0.first.0", "stages.1.0.second.0",
        "stages.1.0.shortcut.0.0",
    ]  # fmt: skip
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert torch.equal(network.head.weight.grad, torch.ones_like(network.head.weight))
    assert not any(module._forward_hooks for module in network.modules())


def growth_per_layer(architecture: Any) -> float:
    """By how much gradients grow per convolution from the output to the input of a fresh net of 56 layers."""
    torch.manual_seed(0)
    network = SliceClassifier(
        ClassifierConfig(architecture=architecture, blocks=(9, 9, 9), width=16, stem="small", out_channels=2)
    )
    norms = gradient_norms(network, torch.randn(8, 1, 32, 32), torch.tensor([0, 1] * 4), functional.cross_entropy)
    outputs = [norm.output for name, norm in norms.items() if "shortcut" not in name]
    assert len(outputs) == 55
    return float((outputs[0] / outputs[-1]) ** (1 / 54))


def test_gradients_explode_without_shortcuts_as_theory_says_and_not_with_them() -> None:
    """Yang et al. 2019, https://arxiv.org/abs/1902.08129: batch norm and ReLU, squared norms by π / (π - 1) a layer."""
    assert growth_per_layer("plain34") == pytest.approx(math.sqrt(math.pi / (math.pi - 1)), abs=0.03)
    assert growth_per_layer("resnet34") < 1.13
