"""Class activation maps: closed-form ones, and what they leave alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from medseg.networks.classification import Architecture, ClassifierConfig, SliceClassifier, grad_cam
from torch import nn

from tests.networks.classification.test_build import config_of


def see_through(**settings: Any) -> SliceClassifier:
    """A net whose last map is the picture itself, in every channel; its first class likes bright ones."""
    network = SliceClassifier(
        ClassifierConfig(
            **{"architecture": "plain18", "blocks": (1,), "width": 2, "stem": "small", "out_channels": 2} | settings
        )
    )
    for module in network.body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
            with torch.no_grad():
                module.weight[:, 0, 1, 1] = 1
    with torch.no_grad():
        network.head.weight.copy_(torch.tensor([[1.0], [-1.0]]).expand_as(network.head.weight))
    return network.eval()


def blobs(size: int = 24) -> torch.Tensor:
    """Two pictures with a bright blob each, at (6, 16) and (17, 4)."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.stack([torch.exp(-((y - r) ** 2 + (x - c) ** 2) / 8.0) for r, c in ((6, 16), (17, 4))])[:, None]


def test_map_of_a_net_that_sees_the_picture_is_the_picture() -> None:
    maps = grad_cam(see_through(), blobs(), 0)
    assert maps.shape == (2, 24, 24)
    torch.testing.assert_close(maps, blobs()[:, 0])


def test_each_map_is_scaled_by_its_own_largest_value() -> None:
    maps = grad_cam(see_through(), torch.cat([3 * blobs()[:1], 0.5 * blobs()[1:]]), 0)
    assert maps.amax(dim=(1, 2)).tolist() == [1.0, 1.0]


def test_coarse_map_peaks_at_the_blob() -> None:
    maps = grad_cam(see_through(blocks=(1, 1)), blobs(), 0)
    peaks = [divmod(int(peak), 24) for peak in maps.flatten(1).argmax(dim=1)]
    assert all(abs(r - y) <= 2 and abs(c - x) <= 2 for (r, c), (y, x) in zip(peaks, ((6, 16), (17, 4)), strict=True))


def test_nothing_speaks_for_the_class_that_dislikes_bright_pictures() -> None:
    assert not grad_cam(see_through(), blobs(), 1).any()


@pytest.mark.parametrize(
    "architecture",
    ["resnet18", "resnet50", "plain18", "alexnet", "bn_inception", "densenet121", "efficientnet_b0", "encoder"],
)
def test_every_net_gives_maps_and_is_left_as_it_was(architecture: Architecture) -> None:
    torch.manual_seed(0)
    network = SliceClassifier(config_of(architecture, pooling="attention")).train()
    nn.init.ones_(network.head.weight)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        maps = grad_cam(network, torch.randn(2, 2, 64, 80), 1)
    assert maps.shape == (2, 64, 80)
    assert maps.amin() >= 0
    assert maps.amax() <= 1
    assert maps.any()
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())


@pytest.mark.parametrize("architecture", ["alexnet", "vgg16"])
def test_fully_connected_nets_give_maps_from_their_last_convolution(architecture: Architecture) -> None:
    with torch.device("meta"):
        network = SliceClassifier(config_of(architecture))
        assert network.get_submodule(network.last_map)(torch.zeros(1, 2, 224, 224)).shape[1:] == (
            (256, 13, 13) if architecture == "alexnet" else (512, 14, 14)
        )


def test_frozen_net_gives_the_same_maps() -> None:
    network = see_through()
    expected = grad_cam(network, blobs(), 0)
    assert torch.equal(grad_cam(network.requires_grad_(False), blobs(), 0), expected)


def test_trained_net_looks_at_what_tells_the_classes_apart() -> None:
    torch.manual_seed(0)
    network = SliceClassifier(
        ClassifierConfig(architecture="resnet18", blocks=(1, 1), width=8, stem="small", out_channels=1)
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    targets = torch.tensor([1.0, 0.0] * 8)
    for _ in range(25):
        x = 0.3 * torch.randn(16, 1, 24, 24)
        for n, (row, column) in enumerate(torch.randint(2, 16, (8, 2)).tolist()):
            x[2 * n, 0, row : row + 5, column : column + 5] += 2
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(network(x)[:, 0], targets).backward()
        optimiser.step()
    x = 0.3 * torch.randn(1, 1, 24, 24)
    x[0, 0, 14:19, 4:9] += 2
    row, column = divmod(int(grad_cam(network, x, 0)[0].argmax()), 24)
    assert 12 <= row <= 20
    assert 2 <= column <= 10
