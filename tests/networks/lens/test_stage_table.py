"""The table of a network's stages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from medseg.networks import count_multiply_adds, count_parameters
from medseg.networks.classification import ClassifierConfig, SliceClassifier
from medseg.networks.lens import Stage, stage_table
from medseg.networks.segmentation import UNet
from torch import nn

from tests.networks.segmentation.test_unet import flat, tiny


def classifier(architecture: Any, **settings: Any) -> SliceClassifier:
    with torch.device("meta"):
        return SliceClassifier(ClassifierConfig(architecture=architecture, out_channels=2, **settings))


def outline(rows: tuple[Stage, ...]) -> list[tuple[str, int, tuple[int, ...]]]:
    return [(row.name, row.channels, row.shape) for row in rows]


def test_unet_s_stages_have_their_maps_fields_and_costs() -> None:
    rows = stage_table(UNet(tiny()), (16, 16, 8))
    assert outline(rows) == [
        ("encoder 0", 4, (16, 16, 8)), ("encoder 1", 8, (8, 8, 8)), ("encoder 2", 16, (4, 4, 4)),
        ("decoder 1", 8, (8, 8, 8)), ("decoder 0", 4, (16, 16, 8)), ("head", 3, (16, 16, 8)),
    ]  # fmt: skip
    assert [row.field.size if row.field else None for row in rows][:3] == [(5, 5, 1), (19, 19, 9), (31, 31, 15)]
    assert rows[-1].field is None
    # 3×3×1 from 2 to 4 and from 4 to 4, 1×1 from 2 to 4, each with an instance norm of 2 · 4.
    assert rows[0].parameters == 9 * 8 + 9 * 16 + 8 + 3 * 8
    assert rows[0].multiply_adds == (9 * 8 + 9 * 16 + 8) * 16 * 16 * 8
    assert (rows[-1].parameters, rows[-1].multiply_adds) == (4 * 3 + 3, 4 * 3 * 16 * 16 * 8)


def test_resnet_s_stages_are_its_scales() -> None:
    network = SliceClassifier(ClassifierConfig(architecture="resnet50", in_channels=3, out_channels=1000))
    rows = stage_table(network.to("meta"), (224, 224))
    assert outline(rows) == [
        ("1/2", 64, (112, 112)), ("1/4", 256, (56, 56)), ("1/8", 512, (28, 28)), ("1/16", 1024, (14, 14)),
        ("1/32", 2048, (7, 7)), ("head", 1000, ()),
    ]  # fmt: skip
    assert [row.parameters for row in rows][::5] == [64 * 3 * 49 + 2 * 64, 2048 * 1000 + 1000]
    assert rows[1].multiply_adds == 56**2 * (64 * 64 + 2 * 256 * 64 + 3 * 9 * 64**2 + 3 * 64 * 256 + 64 * 256)


def encoder_stages() -> SliceClassifier:
    config = ClassifierConfig(architecture="encoder", encoder=flat(), in_channels=2, out_channels=2)
    return SliceClassifier(config)


def single_stage() -> UNet:
    return UNet(flat(channels=(4,), strides=((1, 1),), kernels=((3, 3),), blocks=(1,), decoder_blocks=()))


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda: UNet(flat(deep_supervision=True)), (32, 32)),
        (single_stage, (8, 8)),
        (encoder_stages, (32, 32)),
        (partial(classifier, "alexnet", pooling="attention"), (64, 64)),
        (partial(classifier, "bn_inception"), (64, 64)),
        (partial(classifier, "efficientnet_b0"), (64, 64)),
    ],
    ids=["supervised", "single", "encoder", "alexnet", "inception", "efficientnet"],
)
def test_stages_add_up_to_the_network_and_grow_coarser(build: Callable[[], Any], shape: tuple[int, ...]) -> None:
    with torch.device("meta"):
        network = build()
    rows = stage_table(network, shape)
    assert sum(row.parameters for row in rows) == count_parameters(network)
    image = (1, network.config.in_channels, *shape)
    assert sum(row.multiply_adds for row in rows) == count_multiply_adds(network, image)
    inward = [row.field.size for row in rows if row.field and "decoder" not in row.name]
    assert inward == sorted(inward)
    assert rows[-1].name == "head"
    assert len({row.name for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("architecture", "channels"),
    [("densenet121", [64, 256, 512, 1024, 1024]), ("bn_inception", [64, 192, 320, 608, 1024]),
     ("efficientnet_b0", [16, 24, 40, 112, 1280])],
)  # fmt: skip
def test_stage_s_channels_are_those_that_the_next_grid_gets(architecture: Any, channels: list[int]) -> None:
    assert [row.channels for row in stage_table(classifier(architecture), (64, 64))[:-1]] == channels


def test_small_net_s_stages_are_not_taken_together() -> None:
    network = SliceClassifier(ClassifierConfig(width=4, blocks=(1, 1), stem="small", out_channels=2))
    assert outline(stage_table(network, (32, 32)))[:2] == [("1/1", 4, (32, 32)), ("1/2", 8, (16, 16))]


def test_any_other_network_is_a_table_without_a_head() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 4, 3, stride=(2, 1)))
    rows = stage_table(network, (16, 16))
    assert outline(rows) == [("1/1", 2, (14, 14)), ("1/(2×1)", 4, (6, 12))]
