"""What a classifier's configuration refuses, and what it says about its net."""

from __future__ import annotations

from typing import Any

import pytest
from medseg.networks.classification import ClassifierConfig
from medseg.networks.config import NetworkConfig
from pydantic import ValidationError


def flat_unet(**changes: Any) -> NetworkConfig:
    settings: dict[str, Any] = {
        "spatial_dims": 2, "in_channels": 2, "out_channels": 3, "channels": (4, 8), "strides": ((1, 1), (2, 2)),
        "kernels": ((3, 3), (3, 3)), "blocks": (1, 1), "decoder_blocks": (1,),
    }  # fmt: skip
    return NetworkConfig(**settings | changes)


SOLID = flat_unet(spatial_dims=3, strides=((1, 1, 1), (2, 2, 2)), kernels=((3, 3, 3), (3, 3, 3)))


@pytest.mark.parametrize(
    ("settings", "phrase"),
    [
        ({"architecture": "resnet19"}, "Input should be 'resnet18'"),
        ({"architecture": "densenet121", "activation": "prelu"}, "activation of densenet121 is relu, got prelu"),
        ({"architecture": "efficientnet_b0", "activation": "relu"}, "activation of efficientnet_b0 is silu, got relu"),
        ({"architecture": "vgg16", "width": 16}, "width is of residual and plain nets; leave it out for vgg16"),
        ({"architecture": "alexnet", "stem": "small"}, "stem is of residual and plain nets"),
        ({"architecture": "alexnet", "shortcut": "averaged"}, "shortcut is of residual and plain nets"),
        ({"architecture": "densenet121", "blocks": (1, 1)}, "blocks is of residual and plain nets"),
        ({"architecture": "plain18", "blocks": ()}, "at least one stage"),
        ({"architecture": "plain18", "blocks": (1, 0)}, "of at least one block, got"),
        ({"architecture": "encoder"}, "encoder must be given with architecture 'encoder', and only then"),
        ({"architecture": "resnet18", "encoder": flat_unet()}, "and only then"),
        ({"architecture": "encoder", "encoder": SOLID, "in_channels": 2}, "spatial_dims must be 2, got 3; flatten it"),
        ({"architecture": "encoder", "encoder": flat_unet(), "in_channels": 3}, "a multiple of the encoder's 2, got 3"),
        ({"architecture": "encoder", "encoder": flat_unet(), "in_channels": 2, "activation": "relu"},
         "activation of encoder is leaky_relu, got relu"),
        ({"out_channels": 0}, "greater than or equal to 1"),
    ],
)  # fmt: skip
def test_settings_that_do_not_agree_are_refused(settings: dict[str, Any], phrase: str) -> None:
    with pytest.raises(ValidationError, match=phrase):
        ClassifierConfig(**{"out_channels": 2} | settings)


@pytest.mark.parametrize(
    ("architecture", "own"),
    [("resnet18", "relu"), ("vgg16", "relu"), ("densenet121", "relu"), ("efficientnet_b0", "silu")],
)
def test_own_activation_is_used_and_may_be_named(architecture: Any, own: Any) -> None:
    assert ClassifierConfig(architecture=architecture, out_channels=2).nonlinearity == own
    assert ClassifierConfig(architecture=architecture, out_channels=2, activation=own).nonlinearity == own


def test_encoder_has_the_unet_s_activation() -> None:
    config = ClassifierConfig(architecture="encoder", encoder=flat_unet(), in_channels=4, out_channels=2)
    assert config.nonlinearity == "leaky_relu"


@pytest.mark.parametrize(
    ("architecture", "depth"),
    [("resnet18", 18), ("plain18", 18), ("resnet34", 34), ("plain34", 34), ("resnet50", 50), ("resnet101", 101),
     ("resnet152", 152), ("vgg16", None), ("densenet121", None)],
)  # fmt: skip
def test_depth_is_the_number_in_a_residual_net_s_name(architecture: Any, depth: int | None) -> None:
    config = ClassifierConfig(architecture=architecture, out_channels=2)
    assert config.depth == depth
    assert (config.is_residual, config.is_plain) == (
        architecture.startswith("resnet"),
        architecture.startswith("plain"),
    )


def test_other_blocks_give_other_depths() -> None:
    assert ClassifierConfig(architecture="plain18", blocks=(9, 9, 9), out_channels=10).depth == 56


def test_configuration_survives_json() -> None:
    config = ClassifierConfig(
        architecture="encoder", encoder=flat_unet(), in_channels=6, out_channels=2, pooling="attention"
    )
    assert ClassifierConfig.model_validate_json(config.model_dump_json()) == config
