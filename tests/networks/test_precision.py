"""Layouts of weights and images."""

from __future__ import annotations

import pytest
import torch
from medseg.networks.precision import memory_format, to_device
from torch import nn


@pytest.mark.parametrize(
    ("spatial_dims", "device", "expected"),
    [
        (2, "cpu", torch.channels_last),
        (3, "cpu", torch.channels_last_3d),
        (2, "cuda", torch.channels_last),
        (3, "cuda", torch.contiguous_format),
    ],
)
def test_only_volumes_on_cuda_are_channels_first(spatial_dims: int, device: str, expected: torch.memory_format) -> None:
    assert memory_format(spatial_dims, torch.device(device)) == expected


def test_weights_of_convolutions_lie_as_their_device_wants_them() -> None:
    network = nn.Sequential(nn.Conv3d(2, 4, 3), nn.BatchNorm3d(4))
    to_device(network, torch.device("cpu"), spatial_dims=3)
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
