"""Feature maps, and a UNet whose skips carry nothing."""

from __future__ import annotations

import pytest
import torch
from medseg.errors import ConfigError
from medseg.networks.lens import feature_maps, without_skips
from medseg.networks.segmentation import UNet
from torch import nn

from tests.networks.segmentation.test_unet import flat

STAGES = ("encoder.stages.0", "encoder.stages.2", "decoder.stages.0", "decoder.heads.0")


def test_maps_are_what_the_stages_give_out() -> None:
    network = UNet(flat()).eval()
    x = torch.randn(2, 2, 16, 16)
    maps = feature_maps(network, x, STAGES)
    skips = network.encoder(x)
    assert tuple(maps) == STAGES
    torch.testing.assert_close(maps["encoder.stages.0"], skips[0])
    torch.testing.assert_close(maps["encoder.stages.2"], skips[2])
    torch.testing.assert_close(maps["decoder.heads.0"], network(x))
    assert not any(each.requires_grad for each in maps.values())


def test_map_is_taken_before_an_activation_works_on_it_in_place() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True))
    maps = feature_maps(network, torch.randn(1, 1, 8, 8), ["0"])
    assert maps["0"].min() < 0


def test_network_is_left_without_hooks_and_as_it_was() -> None:
    network = UNet(flat(norm="batch")).train()
    network.encoder.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    feature_maps(network, torch.randn(2, 2, 16, 16), STAGES)
    with pytest.raises(Exception, match="size"):
        feature_maps(network, torch.randn(2, 5, 16, 16), STAGES)
    assert not any(module._forward_hooks for module in network.modules())
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_unknown_name_is_refused_with_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"got 'encoder\.stage\.0'; near: \['encoder\.stages\.0'"):
        feature_maps(UNet(flat()), torch.zeros(1, 2, 16, 16), ["encoder.stage.0"])


def test_module_that_gives_out_several_maps_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"must give out one tensor, got \['encoder'\]"):
        feature_maps(UNet(flat()), torch.zeros(1, 2, 16, 16), ["encoder", "encoder.stages.0"])


def test_decoder_without_skips_gets_zeros() -> None:
    network = UNet(flat()).eval()
    x = torch.randn(1, 2, 16, 16)
    skips = network.encoder(x)
    zeros = [torch.zeros_like(skip) for skip in skips]
    torch.testing.assert_close(without_skips(network)(x), network.decoder([*zeros[:2], skips[2]])[0])
    torch.testing.assert_close(
        without_skips(network, stages=[1])(x), network.decoder([skips[0], zeros[1], skips[2]])[0]
    )
    torch.testing.assert_close(without_skips(network, stages=[])(x), network(x))


def test_unet_without_skips_is_a_copy_that_can_be_trained_and_carries_the_same_names() -> None:
    network = UNet(flat())
    blind = without_skips(network)
    assert list(blind.state_dict()) == list(network.state_dict())
    blind(torch.randn(2, 2, 16, 16)).pow(2).mean().backward()
    assert blind.encoder.stages[0][0].first[0].weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.decoder._forward_pre_hooks


@pytest.mark.parametrize("stages", [[2], [-1]])
def test_stage_without_a_skip_is_refused(stages: list[int]) -> None:
    with pytest.raises(ConfigError, match="stages must be of 0 to 1"):
        without_skips(UNet(flat()), stages=stages)
