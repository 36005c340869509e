"""Effective receptive fields: closed forms, and what no norm may change."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from medseg.errors import ConfigError
from medseg.networks.classification import ClassifierConfig, SliceClassifier
from medseg.networks.lens import effective_field, measured_support, receptive_fields
from medseg.networks.lens.probe import with_fixed_statistics
from medseg.networks.norm import InstanceNorm
from medseg.networks.segmentation import UNet
from torch import nn

from tests.networks.segmentation.test_unet import flat, tiny


def ones(depth: int, kernel: int = 3) -> nn.Sequential:
    """Convolutions of ones one after another."""
    network = nn.Sequential(*(nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False) for _ in range(depth)))
    for layer in network:
        nn.init.ones_(layer.weight)
    return network


def test_equal_weights_make_the_field_a_power_of_a_box_with_the_paper_s_deviation() -> None:
    """Luo et al. 2016, section 2.2: n layers of kernel k have the variance n (k² - 1) / 12."""
    effective = effective_field(ones(40), (121,), samples=1)
    expected = np.ones(1)
    for _ in range(40):
        expected = np.convolve(expected, np.ones(3) / 3)
    np.testing.assert_allclose(effective.map[20:101], expected, rtol=1e-4, atol=1e-9)
    places = np.arange(121) - 60
    assert float((effective.map * places**2).sum()) == pytest.approx(40 * 8 / 12, rel=1e-4)
    assert effective.size[0] == pytest.approx(4 * math.sqrt(40 * 8 / 12), rel=0.02)
    assert (effective.unit, effective.theory, effective.is_cut) == ((60,), ((20, 100),), (False,))
    assert effective.size_mm((0.5,))[0] == effective.size[0] / 2


def test_one_layer_of_equal_weights_holds_the_share_of_its_width() -> None:
    effective = effective_field(ones(1, kernel=5), (9,))
    assert effective.size == (pytest.approx(0.9545 * 5),)
    np.testing.assert_allclose(effective.map, [0, 0, 0.2, 0.2, 0.2, 0.2, 0.2, 0, 0], atol=1e-7)


def test_field_that_reaches_beyond_the_image_is_said_to_be_cut() -> None:
    assert effective_field(ones(3), (7,)).is_cut == (False,)
    assert effective_field(ones(3), (6,)).is_cut == (True,)
    assert effective_field(ones(3), (6,), unit=(0,)).theory == ((-3, 3),)


def test_image_channels_of_opposite_sign_do_not_cancel() -> None:
    conv = nn.Conv1d(2, 1, 3, padding=1, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]]]))
    assert effective_field(nn.Sequential(conv), (7,)).size == (pytest.approx(0.9545 * 3),)


def test_axes_are_kept_apart() -> None:
    conv = nn.Conv2d(1, 1, (3, 7), padding=(1, 3), bias=False)
    nn.init.ones_(conv.weight)
    effective = effective_field(nn.Sequential(conv), (9, 11))
    assert effective.size == (pytest.approx(0.9545 * 3), pytest.approx(0.9545 * 7))
    assert effective.map.shape == (9, 11)


@pytest.mark.parametrize("norm", ["instance", "group", "batch", "none"])
def test_effective_field_lies_within_the_theoretical_one_whatever_the_norm(norm: str) -> None:
    network = UNet(flat(norm=norm)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    unit = (41, 30)
    effective = effective_field(network, (96, 64), samples=2, unit=unit)
    inside = np.zeros_like(effective.map)
    (a, b), (c, d) = receptive_fields(network).output.interval(unit)
    inside[max(a, 0) : b + 1, max(c, 0) : d + 1] = 1
    assert effective.map[inside == 0].max(initial=0) == 0
    assert effective.map.sum() == pytest.approx(1)
    assert all(size < whole for size, whole in zip(effective.size, receptive_fields(network).output.size, strict=True))
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    "norm", [InstanceNorm(6), nn.InstanceNorm2d(6, affine=True), nn.InstanceNorm2d(6), nn.GroupNorm(2, 6)]
)
def test_norm_with_fixed_statistics_gives_the_same_values(norm: nn.Module) -> None:
    network = nn.Sequential(nn.Conv2d(1, 6, 3), norm)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.uniform_(0.5, 2)
    x = torch.randn(2, 1, 9, 8) * 3 + 1
    torch.testing.assert_close(with_fixed_statistics(network)(x), network(x))


def test_same_seed_gives_the_same_field_and_another_another() -> None:
    network = UNet(flat())
    maps = [effective_field(network, (32, 32), samples=1, seed=seed).map for seed in (0, 0, 1)]
    assert np.array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])


def test_field_of_an_inner_layer_is_narrower() -> None:
    network = UNet(flat())
    first = effective_field(network, (64, 64), layer="encoder.stages.0", samples=1)
    whole = effective_field(network, (64, 64), samples=1)
    assert first.theory == ((30, 34), (32, 32))
    assert first.size[0] < 5 < whole.size[0]


def test_classifier_is_looked_at_up_to_its_last_map() -> None:
    network = SliceClassifier(ClassifierConfig(width=4, blocks=(1, 1), stem="small", out_channels=2))
    effective = effective_field(network, (32, 40), samples=1)
    assert effective.unit == (8, 10)
    assert effective.theory == receptive_fields(network.body).output.interval((8, 10))


def test_unit_without_gradient_has_no_size() -> None:
    network = ones(1)
    nn.init.zeros_(network[0].weight)
    effective = effective_field(network, (5,))
    assert math.isnan(effective.size[0])
    assert effective.map.max() == 0


def test_support_does_not_depend_on_weights_norms_or_maxima() -> None:
    network = UNet(tiny(downsampling="maxpool", activation="silu"))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert measured_support(network, (32, 32, 16)) == measured_support(UNet(tiny(downsampling="maxpool")), (32, 32, 16))


@pytest.mark.parametrize("unit", [(5,), (-1,), (0, 0)])
def test_unit_outside_the_output_is_refused(unit: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"unit must lie in an output of \(5,\)"):
        effective_field(ones(1), (5,), unit=unit)


def test_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="layer must be a module that gives out one feature map, got 'encodr'"):
        effective_field(UNet(flat()), (32, 32), layer="encodr")


def test_unit_that_sees_only_padding_is_refused() -> None:
    with pytest.raises(ConfigError, match="must see part of an image"):
        measured_support(nn.Sequential(nn.Conv1d(1, 1, 1, padding=3)), (4,), unit=(0,))
