"""Every architecture: its published size and cost, its shapes, what it can take and what it learns."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from medseg.errors import ConfigError
from medseg.networks import count_multiply_adds, count_parameters
from medseg.networks.classification import Architecture, ClassifierConfig, SliceClassifier, smallest_size
from monai.networks.nets import DenseNet121, EfficientNetBN
from torch import nn

from tests.networks.classification.test_config import flat_unet

# Parameters in millions, and multiply-adds in thousands of millions at 224 × 224: torchvision's table of weights
# (https://docs.pytorch.org/vision/stable/models.html); of BN-Inception Cadene's PyTorch weights
# (https://github.com/Cadene/pretrained-models.pytorch) and Ioffe and Szegedy 2015; of plain-34 He et al. 2015, fig. 3.
PUBLISHED = [
    ("resnet18", 11.690, 1.814), ("resnet34", 21.798, 3.664), ("resnet50", 25.557, 4.089),
    ("resnet101", 44.549, 7.801), ("resnet152", 60.193, 11.514), ("plain34", None, 3.6), ("alexnet", 61.101, 0.714),
    ("vgg16", 138.358, 15.470), ("bn_inception", 11.285, 2.03), ("densenet121", 7.979, 2.834),
    ("efficientnet_b0", 5.289, 0.386),
]  # fmt: skip
ALL: tuple[Architecture, ...] = get_args(Architecture)
LIGHT = [name for name in ALL if name not in ("alexnet", "vgg16", "resnet101", "resnet152")]


def config_of(architecture: Architecture, **settings: Any) -> ClassifierConfig:
    """A configuration with 2 input channels and 3 classes, some settings changed."""
    encoder = {"encoder": flat_unet()} if architecture == "encoder" else {}
    return ClassifierConfig(**{"architecture": architecture, "in_channels": 2, "out_channels": 3} | encoder | settings)


@pytest.mark.parametrize(("architecture", "millions", "giga"), PUBLISHED)
def test_parameters_and_multiply_adds_are_the_published_ones(
    architecture: Architecture, millions: float | None, giga: float
) -> None:
    with torch.device("meta"):
        network = SliceClassifier(ClassifierConfig(architecture=architecture, in_channels=3, out_channels=1000))
    if millions is not None:
        assert round(count_parameters(network) / 1e6, 3) == millions
    digits = len(str(giga).split(".")[1])
    assert round(count_multiply_adds(network, (1, 3, 224, 224)) / 1e9, digits) == giga


@pytest.mark.parametrize(("blocks", "millions"), [(3, 0.27), (5, 0.46), (7, 0.66), (9, 0.85), (18, 1.7)])
def test_plain_nets_of_small_pictures_have_the_published_parameters(blocks: int, millions: float) -> None:
    """He et al. 2015, table 6; its residual nets have the same, their shortcuts learn nothing."""
    config = ClassifierConfig(
        architecture="plain18", blocks=(blocks,) * 3, width=16, stem="small", in_channels=3, out_channels=10
    )
    with torch.device("meta"):
        count = count_parameters(SliceClassifier(config)) / 1e6
    assert round(count, 1 if millions > 1 else 2) == millions


def test_both_shortcuts_have_as_many_parameters() -> None:
    with torch.device("meta"):
        counts = {
            count_parameters(SliceClassifier(config_of("resnet50", shortcut=kind))) for kind in ("strided", "averaged")
        }
    assert len(counts) == 1


@pytest.mark.parametrize("architecture", ALL)
def test_logits_are_the_classified_features(architecture: Architecture) -> None:
    with torch.device("meta"):
        network = SliceClassifier(config_of(architecture)).eval()
        x = torch.zeros(4, 2, 70, 96)
        features = network.features(x)
        assert features.shape == (4, network.head.in_features)
        assert network.classify(features).shape == network(x).shape == (4, 3)
        assert network.get_submodule(network.last_map)(x).ndim == 4


@pytest.mark.parametrize("architecture", LIGHT)
def test_forward_is_body_neck_and_head(architecture: Architecture) -> None:
    network = SliceClassifier(config_of(architecture)).eval()
    x = torch.randn(2, 2, 64, 64)
    pooled = network.body(x).mean(dim=(2, 3))
    torch.testing.assert_close(network.features(x), pooled)
    torch.testing.assert_close(network(x), pooled @ network.head.weight.T + network.head.bias)


@pytest.mark.parametrize(
    ("architecture", "theirs"),
    [
        ("densenet121", lambda: DenseNet121(2, 2, 3)),
        ("efficientnet_b0", lambda: EfficientNetBN("efficientnet-b0", False, in_channels=2, num_classes=3)),
    ],
)
def test_monai_s_nets_compute_what_they_do_in_monai(architecture: Architecture, theirs: Any) -> None:
    torch.manual_seed(1)
    x = torch.randn(8, 2, 64, 96)
    reference = theirs().train()
    for module in reference.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of this batch
    reference(x)
    ours = SliceClassifier(config_of(architecture)).eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), reference.state_dict().values(), strict=True)))
    expected = reference.eval()(x)
    assert expected.std(dim=0).min() > 0.03
    torch.testing.assert_close(ours(x), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("architecture", [name for name in ALL if name not in ("resnet101", "resnet152")])
def test_smallest_size_is_the_smallest_that_passes(architecture: Architecture) -> None:
    config = config_of(architecture)
    size = smallest_size(config)
    with torch.device("meta"):
        network = SliceClassifier(config).train()
        assert network(torch.zeros(2, 2, size, size)).shape == (2, 3)
        if size == 1:
            return
        with pytest.raises(ConfigError, match=f"{architecture}: slices must be at least {size} pixels a side, got"):
            network(torch.zeros(2, 2, size + 9, size - 1))
        network.smallest_size = 1
        if architecture != "encoder":  # whose strides round up: its bound is a safe one
            with pytest.raises(RuntimeError):
                network(torch.zeros(2, 2, size - 1, size - 1))


def test_small_stem_keeps_the_size_and_imagenet_s_quarters_it() -> None:
    x = torch.zeros(1, 2, 32, 48)
    shapes = {
        stem: SliceClassifier(config_of("resnet18", width=4, stem=stem)).eval().body(x).shape
        for stem in ("small", "imagenet")
    }
    assert shapes == {"small": (1, 32, 4, 6), "imagenet": (1, 32, 1, 2)}


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50", "plain18", "bn_inception", "alexnet", "vgg16"])
def test_prelu_takes_the_place_of_every_relu(architecture: Architecture) -> None:
    with torch.device("meta"):
        relu = SliceClassifier(config_of(architecture))
        prelu = SliceClassifier(config_of(architecture, activation="prelu"))
    places = [name for name, module in relu.named_modules() if isinstance(module, nn.ReLU)]
    assert places
    assert [name for name, module in prelu.named_modules() if isinstance(module, nn.PReLU)] == places
    assert count_parameters(prelu) == count_parameters(relu) + len(places)


@pytest.mark.parametrize("architecture", LIGHT)
def test_gradients_reach_every_parameter(architecture: Architecture) -> None:
    torch.manual_seed(0)
    config = config_of(architecture, pooling="attention")
    if config.is_residual or config.is_plain:
        config = config_of(architecture, pooling="attention", width=8, activation="prelu")
    network = SliceClassifier(config).train()
    network.study_logits(network.features(torch.randn(4, 2, 64, 64)), [3, 1]).pow(2).sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_residual_nets_begin_with_he_s_weights() -> None:
    torch.manual_seed(0)
    network = SliceClassifier(ClassifierConfig(architecture="resnet18", in_channels=3, out_channels=2))
    for module in network.body.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)


@pytest.mark.parametrize("architecture", ["resnet18", "plain18"])
def test_small_net_learns_to_tell_stripes_from_checks(architecture: Architecture) -> None:
    torch.manual_seed(0)
    rows = torch.arange(16) % 2
    stripes = rows[:, None].expand(16, 16).float()
    checks = ((rows[:, None] + rows[None]) % 2).float()
    x = torch.stack([stripes, checks] * 8)[:, None] + 0.3 * torch.randn(16, 1, 16, 16)
    targets = torch.tensor([0, 1] * 8)
    network = SliceClassifier(
        ClassifierConfig(architecture=architecture, width=4, stem="small", blocks=(1, 1), out_channels=2)
    )
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    for _ in range(15):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(x), targets).backward()
        optimiser.step()
    assert torch.equal(network(x).argmax(dim=1), targets)


@pytest.mark.parametrize(("architecture", "count"), [("alexnet", 7), ("vgg16", 15), ("bn_inception", 69)])
def test_every_layer_but_the_last_has_its_non_linearity(architecture: Architecture, count: int) -> None:
    with torch.device("meta"):
        network = SliceClassifier(config_of(architecture))
    layers = [m for m in (*network.body.modules(), *network.neck.modules()) if isinstance(m, nn.Conv2d | nn.Linear)]
    rectified = [m for m in network.modules() if isinstance(m, nn.ReLU)]
    assert len(layers) == len(rectified) == count


@pytest.mark.parametrize(("architecture", "rates"), [("alexnet", [0.5, 0.5]), ("vgg16", [0.5, 0.5]), ("resnet18", []),
                                                     ("bn_inception", []), ("efficientnet_b0", [0.2])])  # fmt: skip
def test_dropout_is_where_the_paper_has_it(architecture: Architecture, rates: list[float]) -> None:
    with torch.device("meta"):
        network = SliceClassifier(config_of(architecture))
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout)] == rates


def test_inception_modules_have_the_released_network_s_shapes_and_pools() -> None:
    with torch.device("meta"):
        stem, stages = SliceClassifier(config_of("bn_inception")).body
        x = stem(torch.zeros(1, 2, 224, 224))
        shapes, pools = [x.shape[1:3]], []
        for module in stages:
            x = module(x)
            shapes.append(x.shape[1:3])
            pools += [type(m).__name__[:3] for m in module.modules() if isinstance(m, nn.AvgPool2d | nn.MaxPool2d)]
    widths = (192, 256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024)
    assert shapes == list(zip(widths, (28,) * 3 + (14,) * 5 + (7,) * 3, strict=True))
    assert pools == ["Avg", "Avg", "Max", "Avg", "Avg", "Avg", "Avg", "Max", "Avg", "Max"]
