"""A classifier that begins with a UNet's encoder sees what the encoder sees."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from medseg.errors import CheckpointError, ConfigError
from medseg.networks import NetworkConfig
from medseg.networks.classification import ClassifierConfig, SliceClassifier, encoder_classifier, load_unet_encoder
from medseg.networks.segmentation import UNet
from torch import nn

from tests.networks.classification.test_config import flat_unet
from tests.networks.classification.torchvision_nets import randomise


def unet_of(config: NetworkConfig) -> UNet:
    """A UNet with random weights and batch statistics."""
    torch.manual_seed(0)
    network = UNet(config).eval()
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            randomise(module, generator)  # type: ignore[arg-type]  # 3D ones have the same tensors
    return network


def solid_unet(**changes: Any) -> NetworkConfig:
    settings: dict[str, Any] = {
        "spatial_dims": 3, "norm": "batch", "channels": (4, 8, 16), "strides": ((1, 1, 1), (2, 1, 2), (2, 2, 1)),
        "kernels": ((3, 5, 1), (3, 3, 3), (1, 3, 5)), "blocks": (1, 1, 1), "decoder_blocks": (1, 1),
    }  # fmt: skip
    return flat_unet(**settings | changes)


@torch.no_grad()
@pytest.mark.parametrize(
    "changes",
    [{}, {"norm": "batch", "block": "bottleneck"}, {"block": "plain", "norm": "none", "downsampling": "maxpool"}],
    ids=str,
)
def test_features_are_the_mean_of_the_unet_s_coarsest_map(changes: dict[str, Any]) -> None:
    unet = unet_of(flat_unet(**changes))
    network = SliceClassifier(encoder_classifier(unet.config, out_channels=5)).eval()
    load_unet_encoder(network, unet.state_dict())
    x = torch.randn(2, 2, 16, 24)
    assert torch.equal(network.body(x), unet.encoder(x)[-1])
    torch.testing.assert_close(network.features(x), unet.encoder(x)[-1].mean(dim=(2, 3)))
    assert network(x).shape == (2, 5)


@torch.no_grad()
@pytest.mark.parametrize("block", ["residual", "bottleneck"])
def test_equal_neighbouring_slices_are_seen_as_one(block: str) -> None:
    unet = unet_of(flat_unet(block=block))
    network = SliceClassifier(encoder_classifier(unet.config, out_channels=5, slices=3)).eval()
    load_unet_encoder(network, unet.state_dict())
    x = torch.randn(2, 2, 16, 24)
    neighbours = torch.stack([x] * 3, dim=2).flatten(1, 2)  # (B, channel · slice, H, W)
    torch.testing.assert_close(network.body(neighbours), unet.encoder(x)[-1], atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_slice_is_seen_as_the_3d_encoder_sees_a_volume_of_equal_slices(slice_axis: int) -> None:
    unet = unet_of(solid_unet())
    network = SliceClassifier(encoder_classifier(unet.config, out_channels=5, slice_axis=slice_axis)).eval()
    load_unet_encoder(network, unet.state_dict(), slice_axis=slice_axis)
    x = torch.randn(1, 2, 8, 8)
    features = unet.encoder(torch.stack([x] * 64, dim=2 + slice_axis))[-1]
    centre = features.shape[2 + slice_axis] // 2
    torch.testing.assert_close(network.body(x), features.select(2 + slice_axis, centre), atol=1e-5, rtol=1e-5)


def test_flat_kernels_and_strides_are_those_of_the_slice_s_own_axes() -> None:
    encoder = encoder_classifier(solid_unet(), out_channels=2, slice_axis=1, pooling="max").encoder
    assert encoder is not None
    assert encoder.kernels == ((3, 1), (3, 3), (1, 5))
    assert encoder.strides == ((1, 1), (2, 2), (2, 1))


def test_decoder_is_passed_over_and_the_linear_layer_stays_fresh() -> None:
    unet = unet_of(flat_unet())
    network = SliceClassifier(encoder_classifier(unet.config, out_channels=5, pooling="attention"))
    before = [p.clone() for name, p in network.named_parameters() if not name.startswith("body.")]
    load_unet_encoder(network, unet.state_dict())
    after = [p for name, p in network.named_parameters() if not name.startswith("body.")]
    assert len(after) == 2 + 5
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_other_encoders_are_refused_and_named() -> None:
    weights = unet_of(flat_unet()).state_dict()
    deeper = SliceClassifier(encoder_classifier(flat_unet(blocks=(1, 2)), out_channels=2))
    with pytest.raises(CheckpointError, match=r"differing in stages\.1\.1\.first"):
        load_unet_encoder(deeper, weights)
    wider = SliceClassifier(encoder_classifier(flat_unet(channels=(4, 16)), out_channels=2))
    with pytest.raises(
        CheckpointError, match=r"encoder\.stages\.1\.0\.first\.0\.weight must have the shape \(16, 4, 3, 3\)"
    ):
        load_unet_encoder(wider, weights)
    with pytest.raises(ConfigError, match="must be 'encoder' to begin with a UNet's, got 'resnet18'"):
        load_unet_encoder(SliceClassifier(ClassifierConfig(width=2, blocks=(1,), out_channels=2)), weights)
