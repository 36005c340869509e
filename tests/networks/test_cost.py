"""Multiply-adds by hand; the published ones are in classifier/test_build.py."""

from __future__ import annotations

import torch
from medseg.networks import count_multiply_adds
from torch import nn


def test_convolutions_and_linear_layers_are_counted_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, groups=2), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(6 * 2 * 3, 5),
    )  # fmt: skip
    convolution = (4 * 6) * 6 * 1 * 9  # pixels, outputs, inputs of a group, taps
    assert count_multiply_adds(network, (1, 2, 4, 6)) == convolution + 36 * 5
    assert count_multiply_adds(network, (3, 2, 4, 6)) == 3 * (convolution + 36 * 5)


def test_volumes_and_transposed_convolutions_are_counted() -> None:
    network = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.ConvTranspose3d(2, 3, 2, stride=2))
    assert count_multiply_adds(network, (1, 1, 4, 5, 6)) == 120 * 2 * 27 + 120 * 8 * 2 * 3


def test_network_keeps_its_modes_and_statistics() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Dropout()).train()
    network[1].eval()
    count_multiply_adds(network, (2, 1, 4, 4))
    assert [module.training for module in network.modules()] == [True, True, False, True]
    assert isinstance(network[1], nn.BatchNorm2d)
    assert network[1].num_batches_tracked == 0
    assert network[0].weight.grad is None
    assert torch.equal(network[1].running_mean, torch.zeros(2))  # type: ignore[arg-type]  # tracked
