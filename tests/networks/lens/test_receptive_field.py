"""Receptive fields against published values, hand derivations and what gradients reach."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ConfigError
from medseg.networks import Encoder, NetworkConfig
from medseg.networks.classification import ClassifierConfig, SliceClassifier
from medseg.networks.classification.encoder import EncoderBody
from medseg.networks.lens import (
    AxisField,
    Field,
    Layer,
    Window,
    derive_fields,
    measured_support,
    receptive_fields,
    without_skips,
)
from medseg.networks.segmentation import UNet, unet_2015
from torch import Tensor, nn
from torch.nn import functional

from tests.networks.segmentation.test_unet import flat, tiny


def classifier(architecture: Any, **settings: Any) -> SliceClassifier:
    return SliceClassifier(ClassifierConfig(architecture=architecture, out_channels=2, **settings))


def weightless(architecture: Any) -> SliceClassifier:
    with torch.device("meta"):
        return classifier(architecture)


def clipped(field: Field, unit: tuple[int, ...], shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """What a unit sees of an image of that shape."""
    pairs = zip(field.interval(unit), shape, strict=True)
    return tuple((max(first, 0), min(last, size - 1)) for (first, last), size in pairs)


def test_field_grows_by_kernel_less_one_times_dilation_times_jump() -> None:
    rows = derive_fields([
        Layer("a", (3,)),  # 1 + 2 · 1
        Layer("b", (3,), stride=(2,)),  # 3 + 2 · 1, and the jump doubles
        Layer("c", (5,), dilation=(3,)),  # 5 + 4 · 3 · 2
        Layer("d", (2,), stride=(3,), padding=(0,)),  # 29 + 1 · 2
        Layer("e", (3,)),  # 31 + 2 · 6
    ])  # fmt: skip
    assert [row.field.size for row in rows] == [(3,), (5,), (29,), (31,), (43,)]
    assert [row.field.jump for row in rows] == [(1,), (2,), (2,), (6,), (6,)]
    # Padding moves the start: -1, -1, -6 · 2, -0, -1 · 6.
    assert [row.field.start for row in rows] == [(-1,), (-2,), (-14,), (-14,), (-20,)]
    assert [row.field.centre for row in rows] == [(0,), (0,), (0,), (1,), (1,)]
    assert (rows[2].name, rows[2].kernel, rows[2].stride, rows[2].dilation) == ("c", (5,), (1,), (3,))


def test_strided_anisotropic_encoder_by_hand() -> None:
    config = NetworkConfig(
        spatial_dims=3, in_channels=1, out_channels=2, channels=(2, 2, 2), norm="none", block="plain",
        strides=((1, 1, 1), (2, 2, 1), (2, 2, 2)), kernels=((3, 3, 1), (3, 3, 3), (5, 3, 3)), blocks=(1, 2, 1),
        decoder_blocks=(1, 1),
    )  # fmt: skip
    fields = receptive_fields(UNet(config)).modules
    # i: 1 + 2 + 2 = 5; 5 + 2 + 3 · 4 = 19; 19 + 4 · 2 + 4 · 4 = 43.  j: the same but 19 + 2 · 2 + 2 · 4 = 31.
    # k: 1; 1 + 4 · 2 = 9; 9 + 2 · 1 + 2 · 2 = 15.
    sizes = [fields[f"encoder.stages.{stage}"].size for stage in range(3)]
    assert sizes == [(5, 5, 1), (19, 19, 9), (43, 31, 15)]
    assert [fields[f"encoder.stages.{stage}"].jump for stage in range(3)] == [(1, 1, 1), (2, 2, 1), (4, 4, 2)]
    assert fields["encoder.stages.2"].size_mm((0.5, 0.5, 3.0)) == (21.5, 15.5, 45.0)


def test_original_unet_s_coarsest_units_see_140_pixels() -> None:
    fields = receptive_fields(UNet(unet_2015()).to("meta"))
    # Per stage two 3×3 convolutions add 4 jumps and a 2×2 pooling one: 5; 6, 14; 16, 32; 36, 68; 76, 140.
    sizes = [fields.modules[f"encoder.stages.{stage}"].size for stage in range(5)]
    assert sizes == [(size, size) for size in (5, 14, 32, 68, 140)]
    assert fields.mixers == ()


def test_original_unet_s_output_sees_188_or_204_pixels_by_where_it_lies() -> None:
    """Counted back: 5 pixels, 3 units, 7, 4, 8, 4 or 5, 8 or 9, 4 or 5 of the coarsest, which are 16 pixels apart."""
    output = receptive_fields(UNet(unet_2015()).to("meta")).output
    assert (output.smallest_size, output.size) == ((140 + 3 * 16,) * 2, (140 + 4 * 16,) * 2)
    assert output.jump == (1, 1)


@pytest.mark.parametrize(
    ("architecture", "size"),
    [("resnet18", 435), ("resnet34", 899), ("plain34", 899), ("bn_inception", 699)],
)
def test_classifier_s_last_map_sees_what_is_published(architecture: str, size: int) -> None:
    """ResNet-18: 11 + 4 · 8, then 8 + 3 · 16, 16 + 3 · 32, 32 + 3 · 64; inception: Araujo et al. 2019, inception_v2."""
    assert receptive_fields(weightless(architecture)).output.size == (size, size)


@pytest.mark.parametrize(
    ("architecture", "published", "ours"), [("resnet50", 483, 427), ("resnet101", 1027, 971), ("resnet152", 1507, 1451)]
)
def test_deep_residual_net_sees_what_is_published_if_strided_where_the_paper_does(
    architecture: str, published: int, ours: int
) -> None:
    """He et al. stride a stage's first 1×1; ours, as torchvision, the 3×3 behind it: 8 + 16 + 32 pixels less.

    Source: Araujo et al. 2019, https://distill.pub/2019/computing-receptive-fields.
    """
    network = weightless(architecture)
    assert receptive_fields(network).output.size == (ours, ours)
    for stage in network.body.stages[1:]:
        stage[0].reduce[0].stride, stage[0].middle[0].stride = (2, 2), (1, 1)
    assert receptive_fields(network).output.size == (published, published)


@pytest.mark.parametrize(("architecture", "body", "pooled"), [("vgg16", 196, 212), ("alexnet", 163, 195)])
def test_classical_net_s_last_pooling_sees_what_is_published(architecture: str, body: int, pooled: int) -> None:
    """Araujo et al. 2019, https://distill.pub/2019/computing-receptive-fields: pool5 of VGG-16 and AlexNet."""
    network = weightless(architecture)
    assert receptive_fields(network).output.size == (body, body)
    assert receptive_fields(nn.Sequential(network.body, network.neck[0])).output.size == (pooled, pooled)


LAYER = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2))


@settings(max_examples=60, deadline=None)
@given(axes=st.integers(1, 3), data=st.data())
def test_chain_sees_what_gradients_reach_and_the_closed_form_says(axes: int, data: st.DataObject) -> None:
    layers = data.draw(st.lists(st.lists(LAYER, min_size=axes, max_size=axes), min_size=1, max_size=4 - axes // 2))
    conv: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
    network = nn.Sequential()
    for values in layers:
        kernel, stride, dilation, padding = zip(*values, strict=True)
        network.append(conv(1, 1, kernel, stride, padding, dilation))
    fields = receptive_fields(network)
    for axis in range(axes):
        size, jump = 1, 1
        for values in layers:
            kernel, stride, dilation, _ = values[axis]
            size, jump = size + (kernel - 1) * dilation * jump, jump * stride
        assert (fields.output.size[axis], fields.output.jump[axis]) == (size, jump)
    shape = tuple(size + jump for size, jump in zip(fields.output.size, map(int, fields.output.jump), strict=True))
    if math.prod(shape) > 200_000:
        return
    unit = tuple(size // 2 for size in network(torch.zeros(1, 1, *shape)).shape[2:])
    expected = clipped(fields.output, unit, shape)
    if all(first <= last for first, last in expected):
        try:
            assert measured_support(network, shape, unit=unit) == expected
        except ConfigError:  # All taps of a dilated kernel lie in the padding.
            assert any(padding for values in layers for *_, padding in values)
    chain = derive_fields([
        Layer(str(n), *(tuple(column) for column in zip(*values, strict=True))) for n, values in enumerate(layers)
    ])  # fmt: skip
    assert chain[-1].field == fields.output


@settings(max_examples=25, deadline=None)
@given(
    strides=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 2)), min_size=1, max_size=2),
    kernels=st.lists(st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 3])), min_size=3, max_size=3),
    blocks=st.integers(1, 2),
    block=st.sampled_from(["plain", "residual", "bottleneck"]),
    downsampling=st.sampled_from(["strided", "maxpool"]),
    upsampling=st.sampled_from(["transposed", "interpolated"]),
    shift=st.integers(0, 5),
)
def test_every_unit_of_a_unet_s_output_sees_what_its_gradient_reaches(
    strides: list[tuple[int, int]], kernels: list[tuple[int, int]], blocks: int, shift: int, **kinds: Any
) -> None:
    stages = len(strides) + 1
    config = NetworkConfig(
        spatial_dims=2, in_channels=1, out_channels=2, channels=(4,) * stages, strides=((1, 1), *strides),
        kernels=tuple(kernels[:stages]), blocks=(blocks,) * stages, decoder_blocks=(1,) * (stages - 1), **kinds,
    )  # fmt: skip
    network = UNet(config)
    field = receptive_fields(network).output
    shape = tuple(
        math.ceil((2 * size + 12) / step) * step for size, step in zip(field.size, config.reduction, strict=True)
    )
    unit = tuple(size // 2 + shift for size in shape)
    assert measured_support(network, shape, unit=unit) == field.interval(unit)


@pytest.mark.parametrize("changes", [{}, {"norm": "group", "upsampling": "interpolated"}, {"downsampling": "maxpool"}])
def test_anisotropic_3d_unet_sees_what_its_gradient_reaches(changes: dict[str, Any]) -> None:
    network = UNet(tiny(**changes))
    fields, shape = receptive_fields(network), (32, 32, 24)
    for unit in [(16, 16, 12), (17, 18, 13)]:
        assert measured_support(network, shape, unit=unit) == clipped(fields.output, unit, shape)
    inner = fields.modules["encoder.stages.1"]
    assert measured_support(network, shape, layer="encoder.stages.1", unit=(7, 8, 9)) == clipped(
        inner, (7, 8, 9), shape
    )
    assert bool(fields.mixers) == (changes.get("norm", "instance") != "none")


@pytest.mark.parametrize("architecture", ["resnet18", "alexnet", "bn_inception", "densenet121", "efficientnet_b0"])
def test_classifier_s_last_map_sees_what_its_gradient_reaches(architecture: str) -> None:
    settings = {"width": 4} if architecture == "resnet18" else {}
    network, shape = classifier(architecture, **settings), (96, 128)
    if architecture == "resnet18":
        shape = (448, 480)
    rows, columns = network.eval().body(torch.zeros(1, 1, *shape)).shape[2:]
    unit = (rows // 2, columns // 2)
    assert measured_support(network, shape) == clipped(receptive_fields(network).output, unit, shape)


def test_encoder_that_classifies_sees_as_the_unet_s_coarsest_stage() -> None:
    config = flat()
    body = EncoderBody(Encoder(config))
    assert receptive_fields(body).output == receptive_fields(UNet(config)).modules["encoder.stages.2"]


def test_unet_without_skips_sees_no_more_than_with_them() -> None:
    network = UNet(flat(norm="none"))
    assert receptive_fields(without_skips(network)).output.size == receptive_fields(network).output.size
    assert measured_support(without_skips(network), (96, 96)) == measured_support(network, (96, 96))


def test_names_and_weights_do_not_matter_and_modes_are_kept() -> None:
    network = UNet(tiny()).train()
    network.encoder.eval()
    before = [module.training for module in network.modules()]
    assert receptive_fields(network) == receptive_fields(UNet(tiny()).to("meta"))
    assert [module.training for module in network.modules()] == before


@pytest.mark.parametrize(
    ("layer", "first", "last"),
    [
        (nn.ConvTranspose1d(1, 1, 2, 2), (0, 0, 1, 1), (0, 0, 1, 1)),
        (nn.ConvTranspose1d(1, 1, 4, 2, 1), (-1, 0, 0, 1), (0, 1, 1, 2)),
        (nn.ConvTranspose1d(1, 1, 3, 1, 1, dilation=2), (-3, -2, -1, 0), (1, 2, 3, 4)),
        (nn.Upsample(scale_factor=2, mode="nearest"), (0, 0, 1, 1), (0, 0, 1, 1)),
        (nn.Upsample(scale_factor=2, mode="linear"), (-1, 0, 0, 1), (0, 1, 1, 2)),
        (nn.Upsample(scale_factor=3, mode="linear"), (-1, 0, 0, 0), (0, 0, 1, 1)),
        (nn.Conv1d(1, 1, 4, padding="same"), (-1, 0, 1, 2), (2, 3, 4, 5)),
        (nn.Conv1d(1, 1, 3, padding="valid"), (0, 1, 2, 3), (2, 3, 4, 5)),
        (nn.MaxPool1d(3, 2, 1, dilation=2), (-1, 1, 3, 5), (3, 5, 7, 9)),
        (nn.AvgPool1d(3), (0, 3, 6, 9), (2, 5, 8, 11)),
        (nn.ConstantPad1d((2, 5), 0.0), (-2, -1, 0, 1), (-2, -1, 0, 1)),
    ],
    ids=str,
)
def test_units_of_a_layer_see_what_its_arithmetic_says(
    layer: nn.Module, first: tuple[int, ...], last: tuple[int, ...]
) -> None:
    (axis,) = receptive_fields(nn.Sequential(nn.Conv1d(1, 1, 1), layer)).output.axes
    assert [axis.interval(unit) for unit in range(4)] == list(zip(first, last, strict=True))
    assert axis.interval(-6)[0] == axis.interval(0)[0] - 6 * axis.jump


def test_padding_is_per_axis_from_the_last_one_on() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ZeroPad2d((1, 0, 4, 0)))
    assert receptive_fields(network).output.start == (-4, -1)


def test_joined_paths_see_from_the_lowest_to_the_highest_voxel() -> None:
    near, far = AxisField((0,), (2,), 2), AxisField((-3, -1), (-2, 5), 4)
    assert near.joined(far) == AxisField((-3, -1), (2, 5), 4)
    assert near.joined(far).size == 7
    assert far.smallest_size == 2
    assert AxisField().through(Window(2, 2, 1, 0, "transposed")).jump == Fraction(1, 2)
    with pytest.raises(ValueError, match="must have one jump, got 2 and 1"):
        near.joined(AxisField())


class Bends(nn.Module):
    """Takes another way for some pictures, or mixes voxels by a function."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.conv = how, nn.Conv2d(1, 1, 3)

    def forward(self, x: Tensor) -> Any:
        x = self.conv(x)
        if self.how == "branch":
            return x if x.sum() > 0 else -x
        return functional.max_pool2d(x, 2) if self.how == "function" else [x]


@pytest.mark.parametrize(
    ("network", "phrase"),
    [
        (Bends("branch"), "must take one path for all images"),
        (Bends("function"), "functions must work voxel by voxel"),
        (Bends("list"), "must give out one feature map"),
        (nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten()), "layers must be convolutions.*got Flatten"),
        (nn.ReLU(), "must have a convolution"),
        (nn.Sequential(nn.ConvTranspose1d(1, 1, 1, 2)), "kernel must cover its stride"),
        (nn.Sequential(nn.Conv1d(1, 1, 1), nn.Upsample(8)), "by a whole factor"),
        (nn.Sequential(nn.Conv1d(1, 1, 1), nn.Upsample(scale_factor=1.5)), "by a whole factor"),
    ],
    ids=["branch", "function", "list", "flatten", "none", "holes", "size", "half"],
)
def test_network_whose_field_nobody_knows_is_refused(network: nn.Module, phrase: str) -> None:
    with pytest.raises(ConfigError, match=phrase):
        receptive_fields(network)
