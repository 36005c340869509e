"""The UNet: its size, its shapes and what passes between encoder and decoder."""

from __future__ import annotations

import weakref
from itertools import pairwise
from typing import Any

import pytest
import torch
from medseg.networks import Encoder, NetworkConfig, count_parameters
from medseg.networks.segmentation import UNet, unet_2015
from medseg.networks.segmentation.decoder import Decoder
from torch import Tensor


def tiny(**changes: Any) -> NetworkConfig:
    """Three stages, anisotropic, with some settings changed."""
    settings: dict[str, Any] = {
        "spatial_dims": 3,
        "in_channels": 2,
        "out_channels": 3,
        "channels": (4, 8, 16),
        "strides": ((1, 1, 1), (2, 2, 1), (2, 2, 2)),
        "kernels": ((3, 3, 1), (3, 3, 3), (3, 3, 3)),
        "blocks": (1, 2, 1),
        "decoder_blocks": (1, 2),
    }
    return NetworkConfig(**settings | changes)


def flat(**changes: Any) -> NetworkConfig:
    """As `tiny`, in 2D."""
    settings: dict[str, Any] = {
        "spatial_dims": 2,
        "strides": ((1, 1), (2, 1), (2, 4)),
        "kernels": ((3, 1), (5, 3), (3, 3)),
    }
    return tiny(**settings | changes)


def convolution(kernel: int, inputs: int, outputs: int) -> int:
    """Weights and biases of a convolution with `kernel` taps."""
    return kernel * inputs * outputs + outputs


def test_original_unet_has_its_31_million_parameters_stage_by_stage() -> None:
    widths = (64, 128, 256, 512, 1024)
    inputs = (1, *widths[:-1])
    encoder = sum(convolution(9, i, o) + convolution(9, o, o) for i, o in zip(inputs, widths, strict=True))
    decoder = sum(
        convolution(4, below, width) + convolution(9, 2 * width, width) + convolution(9, width, width)
        for width, below in pairwise(widths)
    )
    head = convolution(1, 64, 2)
    assert (encoder, decoder, head) == (18_842_048, 12_188_480, 130)
    network = UNet(unet_2015()).to("meta")
    assert count_parameters(network.encoder) == encoder
    assert count_parameters(network) == encoder + decoder + head == 31_030_658


def test_frozen_parameters_are_not_counted() -> None:
    network = UNet(flat())
    before = count_parameters(network)
    head = network.decoder.heads[0]
    head.weight.requires_grad_(False)
    assert before - count_parameters(network) == 4 * 3


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"block": "plain"},
        {"block": "bottleneck"},
        {"norm": "batch"},
        {"norm": "group"},
        {"norm": "none"},
        {"activation": "relu"},
        {"activation": "prelu"},
        {"activation": "gelu"},
        {"activation": "silu"},
        {"downsampling": "maxpool"},
        {"upsampling": "interpolated"},
        {"downsampling": "maxpool", "upsampling": "interpolated", "block": "plain", "deep_supervision": True},
    ],
    ids=str,
)
def test_logits_lie_on_the_image_s_grid(changes: dict[str, Any]) -> None:
    volume, picture = torch.randn(2, 2, 8, 12, 6), torch.randn(2, 2, 16, 12)
    assert UNet(tiny(**changes))(volume).shape == (2, 3, 8, 12, 6)
    assert UNet(flat(**changes))(picture).shape == (2, 3, 16, 12)


def test_single_stage_is_a_network_without_a_decoder() -> None:
    config = flat(channels=(4,), strides=((1, 1),), kernels=((3, 3),), blocks=(1,), decoder_blocks=())
    assert UNet(config)(torch.randn(1, 2, 5, 7)).shape == (1, 3, 5, 7)


def test_deep_supervision_gives_logits_at_every_decoder_stage_finest_first() -> None:
    network = UNet(tiny(channels=(4, 8, 12, 16), strides=((1, 1, 1), (2, 2, 1), (2, 2, 2), (1, 2, 2)),
                        kernels=((3, 3, 3),) * 4, blocks=(1,) * 4, decoder_blocks=(1,) * 3,
                        deep_supervision=True))  # fmt: skip
    x = torch.randn(1, 2, 8, 16, 8)
    scales = network.scales(x)
    assert [tuple(scale.shape) for scale in scales] == [(1, 3, 8, 16, 8), (1, 3, 4, 8, 8), (1, 3, 2, 4, 4)]
    assert torch.equal(network(x), scales[0])
    assert len(UNet(tiny()).scales(x)) == 1


def test_every_parameter_is_trained_by_the_deepest_supervision() -> None:
    network = UNet(tiny(deep_supervision=True))
    torch.stack([scale.pow(2).mean() for scale in network.scales(torch.randn(2, 2, 8, 8, 4))]).sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_encoder_publishes_channels_and_strides_that_its_feature_maps_have() -> None:
    encoder = Encoder(tiny())
    size = [16, 16, 8]
    features: list[Tensor] = encoder(torch.randn(1, 2, *size))
    assert (encoder.channels, encoder.strides) == ((4, 8, 16), ((1, 1, 1), (2, 2, 1), (2, 2, 2)))
    for feature, width, stride in zip(features, encoder.channels, encoder.strides, strict=True):
        size = [n // s for n, s in zip(size, stride, strict=True)]
        assert feature.shape == (1, width, *size)


def test_strided_stem_like_a_resnet_s_is_published_too() -> None:
    config = flat(strides=((2, 2), (2, 2), (1, 2)), kernels=((7, 7), (3, 3), (3, 3)), blocks=(1, 2, 2))
    encoder = Encoder(config)
    features = encoder(torch.randn(1, 2, 32, 32))
    assert encoder.strides == ((2, 2), (2, 2), (1, 2))
    assert [tuple(f.shape[1:]) for f in features] == [(4, 16, 16), (8, 8, 8), (16, 8, 4)]
    assert config.reduction == (4, 8)


def test_decoder_is_built_from_what_an_encoder_publishes() -> None:
    config = tiny()
    encoder = Encoder(config)
    decoder = Decoder(config, channels=encoder.channels, strides=encoder.strides)
    assert not any(module is encoder for module in decoder.modules())
    assert decoder(encoder(torch.randn(1, 2, 8, 8, 4)))[0].shape == (1, 3, 8, 8, 4)


@pytest.mark.parametrize("skips", ["concatenated", "added"])
def test_inference_mode_lets_features_go_and_gives_the_same(skips: str) -> None:
    network = UNet(tiny(skips=skips, deep_supervision=True)).eval()
    x = torch.randn(1, 2, 8, 8, 4)
    expected = network.scales(x)
    with torch.inference_mode():
        features = network.encoder(x)
        references = [weakref.ref(feature) for feature in features]
        found = network.decoder(features)
        assert features == []
        assert all(reference() is None for reference in references)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_each_skip_reaches_the_logits() -> None:
    network = UNet(tiny()).eval()
    features = network.encoder(torch.randn(1, 2, 8, 8, 4))
    logits = network.decoder(features)[0]
    for stage in range(3):
        changed = [f.flip(2) if n == stage else f for n, f in enumerate(features)]
        assert not torch.allclose(network.decoder(changed)[0], logits)


def test_anisotropic_kernel_does_not_look_across_slices() -> None:
    config = tiny(kernels=((3, 3, 1),) * 3, strides=((1, 1, 1), (2, 2, 1), (2, 2, 1)), norm="none")
    network = UNet(config).eval()
    x = torch.randn(1, 2, 8, 8, 5)
    changed = x.clone()
    changed[..., 2] += 1.0
    difference = (network(x) - network(changed)).abs().amax(dim=(0, 1, 2, 3))
    assert difference[2] > 1e-4
    assert difference[[0, 1, 3, 4]].max() == 0


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"downsampling": "maxpool"},
        {"upsampling": "interpolated"},
        {"skips": "concatenated"},
        {"strides": ((2, 2, 1), (2, 2, 1), (2, 2, 2))},
        {"deep_supervision": True},
    ],
)
@pytest.mark.parametrize("size", [(8, 8, 4), (9, 13, 7), (11, 10, 5)])
def test_logits_lie_on_the_image_s_grid_whatever_its_size(changes: dict[str, Any], size: tuple[int, int, int]) -> None:
    config = tiny(**changes)
    network = UNet(config)
    image = torch.randn(2, 2, *size)
    logits = network.scales(image)
    assert logits[0].shape == (2, 3, *size)
    sum(scale.square().mean() for scale in logits).backward()
    assert all(one.grad is not None for one in network.parameters())


def test_a_voxel_of_an_odd_image_keeps_its_place() -> None:
    """Cutting happens at the end of an axis: what lies before it is as in the image with one voxel more."""
    torch.manual_seed(0)
    network = UNet(tiny(norm="none", in_channels=1)).eval()
    image = torch.zeros(1, 1, 32, 32, 16)
    image[..., 3, 4, 2] = 1.0
    with torch.no_grad():
        whole, cut = network(image), network(image[..., :31, :31, :15])
    torch.testing.assert_close(cut[..., :9, :9, :5], whole[..., :9, :9, :5])
