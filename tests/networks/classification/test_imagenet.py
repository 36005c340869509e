"""Published weights compute in our networks what they compute in torchvision's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from medseg.errors import CheckpointError, ConfigError
from medseg.networks.classification import ClassifierConfig, SliceClassifier, imagenet, load_imagenet
from safetensors.torch import save_file
from torch import Tensor

from tests.networks.classification import torchvision_nets


def classifier(architecture: Any = "resnet18", **settings: Any) -> SliceClassifier:
    torch.manual_seed(0)
    return SliceClassifier(
        ClassifierConfig(**{"architecture": architecture, "in_channels": 3, "out_channels": 1000} | settings)
    ).eval()


@pytest.fixture(scope="module")
def resnet18() -> torchvision_nets.ResNet:
    torch.manual_seed(2)
    return torchvision_nets.random_resnet(torchvision_nets.BasicBlock, (2, 2, 2, 2))


@pytest.fixture(scope="module")
def resnet18_file(resnet18: torchvision_nets.ResNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file(resnet18.state_dict(), path)
    return path


def pictures(channels: int = 3) -> Tensor:
    return torch.randn(2, channels, 65, 96, generator=torch.Generator().manual_seed(4))


@torch.no_grad()
def test_resnet18_has_torchvision_s_logits(resnet18: torchvision_nets.ResNet, resnet18_file: Path) -> None:
    network = classifier()
    load_imagenet(network, resnet18_file)
    expected = resnet18(pictures())
    assert expected.std() > 0.1
    torch.testing.assert_close(network(pictures()), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("architecture", "blocks"), [("resnet50", (3, 4, 6, 3))])
def test_bottlenecks_have_torchvision_s_logits(architecture: Any, blocks: Any, tmp_path: Path) -> None:
    torch.manual_seed(2)
    reference = torchvision_nets.random_resnet(torchvision_nets.Bottleneck, blocks)
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    network = classifier(architecture)
    load_imagenet(network, tmp_path / "weights.pth")
    expected = reference(pictures())
    assert expected.std() > 0.1
    torch.testing.assert_close(network(pictures()), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "block", "blocks"),
    [
        ("resnet34", torchvision_nets.BasicBlock, (3, 4, 6, 3)),
        ("resnet101", torchvision_nets.Bottleneck, (3, 4, 23, 3)),
        ("resnet152", torchvision_nets.Bottleneck, (3, 8, 36, 3)),
    ],
)
def test_deeper_nets_have_torchvision_s_names_and_shapes(
    architecture: Any, block: Any, blocks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.device("meta"):
        theirs = torchvision_nets.ResNet(block, blocks).state_dict()
        network = SliceClassifier(ClassifierConfig(architecture=architecture, in_channels=3, out_channels=1000))
    monkeypatch.setattr(imagenet, "read_weights", lambda _: theirs)
    load_imagenet(network, Path("weights.pth"))


@torch.no_grad()
def test_alexnet_has_torchvision_s_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(2)
    weights = torchvision_nets.classical_weights("alexnet")
    monkeypatch.setattr(imagenet, "read_weights", lambda _: weights)
    network = classifier("alexnet")
    load_imagenet(network, Path("alexnet.pth"))
    expected = torchvision_nets.alexnet(weights, pictures())
    torch.testing.assert_close(network(pictures()), expected, atol=1e-5, rtol=1e-5)


def test_vgg16_has_torchvision_s_names_and_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        weights = torchvision_nets.classical_weights("vgg16")
        network = SliceClassifier(ClassifierConfig(architecture="vgg16", in_channels=3, out_channels=1000))
    monkeypatch.setattr(imagenet, "read_weights", lambda _: weights)
    load_imagenet(network, Path("vgg16.pth"))


@torch.no_grad()
@pytest.mark.parametrize("old_names", [False, True])
def test_densenet121_has_torchvision_s_logits(old_names: bool, tmp_path: Path) -> None:
    torch.manual_seed(2)
    weights = torchvision_nets.densenet121_weights()
    names = {n: n.replace("norm1", "norm.1").replace("conv2", "conv.2") if old_names else n for n in weights}
    save_file({names[name]: weight for name, weight in weights.items()}, tmp_path / "weights.safetensors")
    network = classifier("densenet121")
    load_imagenet(network, tmp_path / "weights.safetensors")
    expected = torchvision_nets.densenet121(weights, pictures())
    torch.testing.assert_close(network(pictures()), expected, atol=1e-4, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_other_channels_answer_to_a_grey_picture_as_three_do(
    channels: int, resnet18: torchvision_nets.ResNet, resnet18_file: Path
) -> None:
    network = classifier(in_channels=channels)
    load_imagenet(network, resnet18_file)
    grey = pictures(1)
    expected = resnet18(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(network(grey.expand(-1, channels, -1, -1)), expected, atol=1e-5, rtol=1e-5)
    assert all(
        torch.equal(part, network.body.stem[0][0].weight[:, 0]) for part in network.body.stem[0][0].weight.unbind(1)
    )


@torch.no_grad()
def test_other_classes_and_attention_stay_fresh(resnet18: torchvision_nets.ResNet, resnet18_file: Path) -> None:
    network = classifier(out_channels=4, pooling="attention")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_imagenet(network, resnet18_file)
    after = network.state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {n for n in same if "num_batches" not in n} == {n for n in before if n.startswith(("head.", "attention."))}
    assert network(pictures()).shape == (2, 4)


def test_weights_of_another_depth_are_named(resnet18_file: Path) -> None:
    with pytest.raises(CheckpointError, match=r"missing layer1\.2\.bn1\.bias.* and \d+ more, unexpected none"):
        load_imagenet(classifier("resnet34"), resnet18_file)
    with pytest.raises(CheckpointError, match=r"missing none, unexpected layer1\.1\.bn1\.bias"):
        load_imagenet(classifier("resnet18", blocks=(1, 2, 2, 2)), resnet18_file)


@pytest.mark.parametrize(
    ("settings", "phrase"),
    [
        ({"width": 32}, r"conv1\.weight must have the shape \(32, 3, 7, 7\), got \(64, 3, 7, 7\)"),
        ({"stem": "small"}, r"conv1\.weight must have the shape \(64, 3, 3, 3\), got \(64, 3, 7, 7\)"),
    ],
)  # fmt: skip
def test_weights_of_another_shape_are_named(settings: dict[str, Any], phrase: str, resnet18_file: Path) -> None:
    with pytest.raises(CheckpointError, match=phrase):
        load_imagenet(classifier(**settings), resnet18_file)


def test_refused_weights_leave_the_network_as_it_was(resnet18_file: Path) -> None:
    network = classifier(stem="small")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(CheckpointError):
        load_imagenet(network, resnet18_file)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_count_of_batches_may_be_missing(resnet18: torchvision_nets.ResNet, tmp_path: Path) -> None:
    old = {name: t for name, t in resnet18.state_dict().items() if not name.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    network = classifier()
    load_imagenet(network, tmp_path / "old.pth")
    assert torch.equal(network.head.weight, resnet18.fc.weight)


@pytest.mark.parametrize(
    ("settings", "phrase"),
    [
        (
            {"architecture": "plain34"},
            "architecture must be one of resnet18, .*, densenet121 to load published weights",
        ),
        ({"architecture": "efficientnet_b0"}, "got efficientnet_b0"),
        ({"activation": "prelu"}, "activation must be relu for published weights, got prelu"),
        ({"shortcut": "averaged"}, "shortcut must be strided for published weights, got averaged"),
    ],
)
def test_networks_without_published_weights_are_refused(settings: dict[str, Any], phrase: str) -> None:
    with torch.device("meta"):
        network = SliceClassifier(ClassifierConfig(**{"in_channels": 3, "out_channels": 1000} | settings))
    with pytest.raises(ConfigError, match=phrase):
        load_imagenet(network, Path("none.pth"))


@pytest.mark.parametrize("ending", [".pt", ".pth"])
def test_checkpoint_of_a_training_is_as_good_as_its_state_dict(
    ending: str, resnet18: torchvision_nets.ResNet, tmp_path: Path
) -> None:
    checkpoint = {"epoch": 90, "arch": "resnet18", "state_dict": resnet18.state_dict(), "optimizer": {"state": {}}}
    torch.save(checkpoint, tmp_path / f"checkpoint{ending}")
    network = classifier()
    load_imagenet(network, tmp_path / f"checkpoint{ending}")
    assert torch.equal(network.head.weight, resnet18.fc.weight)
    assert torch.equal(network.body.stem[0][0].weight, resnet18.conv1.weight)


def test_file_that_is_not_of_tensors_is_refused_and_leaves_the_network(tmp_path: Path) -> None:
    network = classifier(width=4)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(CheckpointError, match="must be readable as tensors by name"):
        load_imagenet(network, tmp_path / "missing.pth")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
