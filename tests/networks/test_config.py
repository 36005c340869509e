"""What a network configuration refuses, and what it says about its own size."""

from __future__ import annotations

from typing import Any

import pytest
from medseg.configuration import parse_config
from medseg.errors import ConfigError
from medseg.networks import NetworkConfig
from pydantic import ValidationError


def settings(**changes: Any) -> dict[str, Any]:
    """A sound network of three stages, with some settings changed."""
    sound: dict[str, Any] = {
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 2,
        "channels": (4, 8, 16),
        "strides": ((1, 1, 1), (2, 2, 1), (2, 2, 2)),
        "kernels": ((3, 3, 1), (3, 3, 3), (3, 3, 3)),
        "blocks": (1, 1, 1),
        "decoder_blocks": (1, 1),
    }
    return sound | changes


def test_reduction_is_the_product_of_strides_along_each_axis() -> None:
    assert NetworkConfig(**settings()).reduction == (4, 4, 2)


@pytest.mark.parametrize(
    ("key", "value", "phrase"),
    [
        ("strides", ((1, 1, 1), (2, 2, 2)), "strides must have 3 entries for 3 stages, got 2"),
        ("kernels", ((3, 3, 3),) * 4, "kernels must have 3 entries for 3 stages, got 4"),
        ("blocks", (1,), "blocks must have 3 entries for 3 stages, got 1"),
        ("decoder_blocks", (1, 1, 1), "decoder_blocks must have 2 entries for 3 stages, got 3"),
        ("kernels", ((3, 3, 1), (3, 4, 3), (3, 3, 3)), "kernels must be odd"),
        ("strides", ((1, 1, 1), (2, 2), (2, 2, 2)), "must have 3 axes in every stage"),
        ("kernels", ((3, 3), (3, 3), (3, 3)), "must have 3 axes in every stage"),
        ("strides", ((1, 1, 1), (0, 2, 2), (2, 2, 2)), "must be at least 1"),
        ("blocks", (1, 0, 1), "must be at least 1"),
        ("channels", (0, 8, 16), "must be at least 1"),
        ("out_channels", 0, "greater than or equal to 1"),
    ],
)
def test_settings_that_do_not_agree_are_refused(key: str, value: object, phrase: str) -> None:
    with pytest.raises(ValidationError, match=phrase):
        NetworkConfig(**settings(**{key: value}))


def test_bottleneck_blocks_need_channels_in_fours() -> None:
    with pytest.raises(ValidationError, match="divisible by 4 for bottleneck blocks"):
        NetworkConfig(**settings(channels=(4, 6, 16), block="bottleneck"))
    assert NetworkConfig(**settings(block="bottleneck")).block == "bottleneck"


def test_misspelt_key_comes_with_the_nearest_right_one() -> None:
    with pytest.raises(ConfigError, match="unknown key 'chanels'; did you mean 'channels'"):
        parse_config(NetworkConfig, settings(chanels=(4,)), source="network")


def test_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        NetworkConfig(**settings()).in_channels = 2  # type: ignore[misc]  # that is the point
