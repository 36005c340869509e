"""Networks by name: what each gives, on what grids, and what settings it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import pytest
import torch
from medseg.configuration import Config, parse_config
from medseg.errors import CheckpointError, ConfigError
from medseg.networks import NetworkConfig, count_multiply_adds, count_parameters, load_weights, save_weights
from medseg.networks.precision import autocast, memory_format, to_device
from medseg.networks.segmentation import AnyNetwork, DynUNet, DynUNetConfig, UNet, build_network, build_weightless
from medseg.training.segmentation.loss import SegmentationLoss
from monai.networks import nets
from torch import Tensor, nn

from tests.networks.segmentation.small_nets import KINDS, small_net

CPU = torch.device("cpu")
Dims = Literal[2, 3]


class Holder(Config):
    network: AnyNetwork


def parse(content: Any) -> AnyNetwork:
    return parse_config(Holder, {"network": content}, source="plan.yaml").network


def content_of(kind: str) -> dict[str, Any]:
    return small_net(kind).model_dump(mode="json")


def image_for(config: AnyNetwork) -> Tensor:
    """Two patches of the smallest size with more than one voxel at the coarsest stage."""
    first, *others = config.reduction
    return torch.randn(2, 1, 2 * first, *others, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_logits_lie_on_the_image_s_grid_in_both_modes_and_train_every_weight(
    kind: str, dims: Dims, precision: Literal["fp32", "bf16"]
) -> None:
    config = small_net(kind, spatial_dims=dims)
    network = to_device(build_network(config), CPU, spatial_dims=dims)
    image = image_for(config).contiguous(memory_format=memory_format(dims, CPU))
    with autocast(CPU, precision):
        logits = network.train()(image)
        with torch.no_grad():
            drawn = network.eval()(image)
    assert logits.shape == drawn.shape == (2, 3, *image.shape[2:])
    label = torch.randint(3, (2, 1, *image.shape[2:]), generator=torch.Generator().manual_seed(1))
    loss = SegmentationLoss()([logits], label)
    loss.backward()
    assert torch.isfinite(loss)
    assert [name for name, one in network.named_parameters() if one.grad is None] == []


@pytest.mark.parametrize("kind", KINDS)
def test_both_memory_layouts_give_the_same_logits(kind: str) -> None:
    config = small_net(kind)
    network, image = build_network(config).eval(), image_for(config)
    with torch.no_grad():
        plain = network(image)
        to_device(network, CPU, spatial_dims=3)
        last = network(image.contiguous(memory_format=torch.channels_last_3d))
    assert torch.allclose(plain, last, atol=1e-4)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "unet"])
def test_patch_that_is_no_multiple_of_the_reduction_is_not_for_the_network(kind: str) -> None:
    config = small_net(kind)
    size = [2 * step for step in config.reduction]
    network = build_network(config).eval()
    size[0] += config.reduction[0] // 2
    assert config.patch_multiple == config.reduction
    with pytest.raises((RuntimeError, ValueError), match=r"divisible|must match|Sizes of tensors"):
        network(torch.randn(1, 1, *size))


@pytest.mark.parametrize("kind", KINDS)
def test_cost_needs_no_weights(kind: str) -> None:
    config = small_net(kind)
    with torch.device("meta"):
        network = build_network(config).to("meta")
    assert count_parameters(network) == count_parameters(build_network(config))
    assert count_multiply_adds(network, image_for(config).shape) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_weights_come_back_from_their_file(kind: str, tmp_path: Any) -> None:
    config = small_net(kind)
    network, other = build_network(config), build_network(config)
    save_weights(network.state_dict(), tmp_path / "a.safetensors")
    load_weights(other, tmp_path / "a.safetensors")
    image = image_for(config)
    with torch.no_grad():
        assert torch.equal(network.eval()(image), other.eval()(image))


@pytest.mark.parametrize("res_block", [False, True])
def test_dynunet_computes_what_monai_s_does_with_its_weights(res_block: bool) -> None:
    config = small_net("dynunet", deep_supervision=True, res_block=res_block)
    assert isinstance(config, DynUNetConfig)
    ours = DynUNet(config)
    theirs = nets.DynUNet(
        3, 1, 3, config.kernel_size, config.strides, config.strides[1:], filters=config.filters,
        deep_supervision=True, deep_supr_num=1, res_block=res_block,
    )  # fmt: skip
    assert theirs.load_state_dict(ours.state_dict(), strict=False).unexpected_keys == []
    image = image_for(config)
    with torch.no_grad():
        assert torch.equal(ours.eval()(image), theirs.eval()(image))
        stacked = theirs.train()(image)  # (B, scales, classes, …), enlarged
        finest, coarser = ours.train().scales(image)
    assert torch.equal(finest, stacked[:, 0])
    assert torch.equal(nn.functional.interpolate(coarser, size=finest.shape[2:]), stacked[:, 1])


def test_dynunet_supervises_scales_on_their_own_grids_finest_first() -> None:
    strides = ((1, 1, 1), (2, 2, 1), (2, 2, 2), (1, 2, 2))
    config = small_net(
        "dynunet", strides=strides, kernel_size=((3, 3, 3),) * 4, filters=(4, 4, 4, 4), deep_supervision=True,
        deep_supr_num=2,
    )  # fmt: skip
    network = build_network(config)
    assert isinstance(network, DynUNet)
    image = torch.randn(1, 1, 8, 16, 8)
    assert [tuple(one.shape) for one in network.scales(image)] == [(1, 3, 8, 16, 8), (1, 3, 4, 8, 8), (1, 3, 2, 4, 4)]
    SegmentationLoss()(network.scales(image), torch.zeros(1, 1, 8, 16, 8)).backward()
    assert all(one.grad is not None for one in network.parameters())
    plain = build_network(config.model_copy(update={"deep_supervision": False}))
    assert isinstance(plain, DynUNet)
    assert len(plain.scales(image)) == 1
    assert network.train()(image).shape == plain.train()(image).shape


@pytest.mark.parametrize("kind", KINDS)
def test_settings_come_back_as_they_went(kind: str) -> None:
    assert parse(content_of(kind)) == small_net(kind)


def test_settings_without_a_kind_are_those_of_our_unet() -> None:
    content = content_of("unet")
    del content["kind"]
    network = parse(content)
    assert isinstance(network, NetworkConfig)
    assert isinstance(build_network(network), UNet)


@pytest.mark.parametrize(
    ("kind", "wrong", "phrase"),
    [
        ("unet", {"chanels": 1}, r"plan\.yaml: unknown key 'network\.chanels'; did you mean 'channels'"),
        ("dynunet", {"filtres": 1}, r"unknown key 'network\.filtres'; did you mean 'filters'"),
        ("segresnet", {"init_filtes": 8}, r"unknown key 'network\.init_filtes'; did you mean 'init_filters'"),
        ("swinunetr", {"windowsize": 7}, r"unknown key 'network\.windowsize'; did you mean 'window_size'"),
        ("dynunet", {"zzz": 1}, r"unknown key 'network\.zzz'; known keys: kind, spatial_dims, .*, filters"),
        (
            "unet",
            {"kind": "dynunett"},
            (
                r"network\.kind must be one of unet, dynunet, segresnet, swinunetr, plain_conv_unet, "
                r"residual_encoder_unet, got 'dynun"
            ),
        ),
        ("unet", {"kind": None}, r"network\.kind must be one of unet, .*, got 'None'"),
        ("segresnet", {"init_filters": 12}, r"network\.init_filters must hold: .*multiple of 8, got 12"),
        ("segresnet", {"blocks_up": (1,)}, r"network: blocks_up must have 2 entries for 3 stages, got 1"),
        ("segresnet", {"blocks_up": (1, 0)}, r"network: blocks_down and blocks_up must be at least 1"),
        ("swinunetr", {"feature_size": 20}, r"network\.feature_size must hold: .*multiple of 12, got 20"),
        ("swinunetr", {"num_heads": (3, 6, 5, 24)}, r"num_heads must divide the 48 features of stage 2, got 5"),
        ("swinunetr", {"depths": (1, 1, 0, 1)}, r"depths and num_heads must be at least 1"),
        ("dynunet", {"filters": (4, 8)}, r"network: filters must have 3 entries as kernel_size, got 2"),
        ("dynunet", {"strides": ((1, 1), (2, 2), (2, 2))}, r"strides and kernel_size must have 3 axes in every stage"),
        ("dynunet", {"strides": ((2, 2, 2), (2, 2, 2), (2, 2, 2))}, r"strides must begin with 1 along every axis"),
        ("dynunet", {"kernel_size": ((3, 3, 3), (2, 3, 3), (3, 3, 3))}, r"kernel_size must be odd"),
        ("dynunet", {"strides": ((1, 1, 1), (5, 2, 2), (2, 2, 2))}, r"strides must be at most 1 above kernel_size"),
        ("dynunet", {"filters": (4, 8, 0)}, r"filters, strides and kernel_size must be at least 1"),
        ("dynunet", {"deep_supervision": True, "deep_supr_num": 2}, r"deep_supr_num must be at most 1 for 3 stages"),
    ],
)
def test_wrong_settings_are_refused_in_the_words_of_their_kind(kind: str, wrong: dict[str, Any], phrase: str) -> None:
    with pytest.raises(ConfigError, match=phrase):
        parse(content_of(kind) | wrong)


def test_what_is_no_settings_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"network must hold: .*dictionary.*, got 3"):
        parse(3)


def test_missing_einops_is_said_before_the_first_step() -> None:
    with (
        patch("medseg.networks.segmentation.swinunetr.find_spec", return_value=None),
        pytest.raises(ConfigError, match="the package einops must be installed; install einops"),
    ):
        build_network(small_net("swinunetr"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dims", [2, 3])
def test_network_that_is_built_without_weights_takes_those_of_a_file(kind: str, dims: Dims, tmp_path: Path) -> None:
    config = small_net(kind, spatial_dims=dims)
    trained = build_network(config).eval()
    save_weights({name: tensor.half() for name, tensor in trained.state_dict().items()}, tmp_path / "w.safetensors")
    save_weights(trained.state_dict(), tmp_path / "weights.safetensors")
    for file in ("w.safetensors", "weights.safetensors"):  # those of half precision are no more than rounded
        network = build_weightless(config).eval()
        load_weights(network, tmp_path / file)
        (tmp_path / file).write_bytes(bytes((tmp_path / file).stat().st_size))  # it is a copy, and no part of the file
        with torch.no_grad():
            torch.testing.assert_close(
                network(image_for(config)), trained(image_for(config)), atol=0.02 if file[1] == "." else 0, rtol=0
            )
        assert all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in network.parameters())


def test_building_without_weights_draws_no_random_numbers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    build_weightless(small_net("unet"))
    assert torch.equal(torch.rand(2), expected)


def test_weights_of_another_network_are_refused_by_one_without_weights(tmp_path: Path) -> None:
    save_weights(build_network(small_net("unet", out_channels=2)).state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match="must fit the network"):
        load_weights(build_weightless(small_net("unet")), tmp_path / "weights.safetensors")
