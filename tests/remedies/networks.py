"""Remedies of the errors of networks, their weights and what is looked up in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from medseg.networks import load_weights, read_weights, save_weights
from medseg.networks.classification import (
    ClassifierConfig,
    SliceClassifier,
    encoder_classifier,
    load_imagenet,
    load_unet_encoder,
)
from medseg.networks.classification.study_pooling import split_studies
from medseg.networks.lens import effective_field, feature_maps, receptive_fields
from medseg.networks.segmentation import UNet
from torch import Tensor, nn
from torch.nn import functional

from tests.networks.classification.torchvision_nets import BasicBlock, ResNet
from tests.networks.segmentation.test_unet import flat
from tests.remedies.attempts import by_a_person, covers, tries

covers("networks")
by_a_person("packages are for a person to install", "networks/segmentation/swinunetr.py", "install einops")
Again = Iterator[Callable[[], object]]


class Bent(nn.Module):
    """A convolution, and something behind it."""

    def __init__(self, behind: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.part, self.behind = nn.Conv2d(1, 1, 3), behind

    def forward(self, x: Tensor) -> Any:
        return self.behind(self.part(x))


@tries("networks/lens/trace.py", "look at a part of it, such as one of its modules")
def _branch(place: Path) -> Again:
    network = Bent(lambda x: x if x.sum() > 0 else -x)
    yield lambda: receptive_fields(network)
    yield lambda: receptive_fields(nn.Sequential(network.part))


@tries("networks/lens/trace.py", "use a layer instead of the function")
def _function(place: Path) -> Again:
    yield lambda: receptive_fields(Bent(lambda x: functional.max_pool2d(x, 2)))
    yield lambda: receptive_fields(Bent(nn.MaxPool2d(2)))


@tries("networks/lens/receptive_field.py", "look at a part of it, such as one of its modules")
def _list(place: Path) -> Again:
    network = Bent(lambda x: [x])
    yield lambda: receptive_fields(network)
    yield lambda: receptive_fields(nn.Sequential(network.part))


@tries("networks/lens/layer_windows.py", "look at the part of the network before it")
def _flat(place: Path) -> Again:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten())
    yield lambda: receptive_fields(network)
    yield lambda: receptive_fields(network[:1])


@tries("networks/lens/layer_windows.py", "change it or look at the part of the network before it")
def _half(place: Path) -> Again:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Upsample(scale_factor=1.5))
    yield lambda: receptive_fields(network)
    network[1] = nn.Upsample(scale_factor=2)
    yield lambda: receptive_fields(network)
    yield lambda: receptive_fields(network[:1])


def maps_of(name: str) -> dict[str, Tensor]:
    return feature_maps(UNet(flat()), torch.zeros(1, 2, 16, 16), [name])


@tries("networks/lens/feature_maps.py", "near: {}")
def _typing_slip(place: Path) -> Again:
    yield lambda: maps_of("encoder.stage.0")
    yield lambda: maps_of("encoder.stages.0")


@tries("networks/lens/feature_maps.py", "choose from network.named_modules()")
def _other_name(place: Path) -> Again:
    yield lambda: maps_of("???")
    for name, _ in UNet(flat()).named_modules():
        if name.endswith("stages.0"):
            yield lambda name=name: maps_of(name)  # type: ignore[misc]


@tries("networks/lens/feature_maps.py", "name modules inside or around them that give out one tensor")
def _several_maps(place: Path) -> Again:
    yield lambda: maps_of("encoder")
    yield lambda: maps_of("encoder.stages.0")
    yield lambda: feature_maps(UNet(flat()), torch.zeros(1, 2, 16, 16), [""])


@tries("networks/lens/effective_field.py", "choose another")
def _unit(place: Path) -> Again:
    yield lambda: effective_field(UNet(flat()), (16, 16), unit=(16, 0))
    yield lambda: effective_field(UNet(flat()), (16, 16), unit=(15, 0))


@tries("networks/lens/effective_field.py", "choose one of receptive_fields(network).modules")
def _layer(place: Path) -> Again:
    network = UNet(flat())
    yield lambda: effective_field(network, (32, 32), layer="encodr")
    yield lambda: [effective_field(network, (32, 32), layer=name) for name in list(receptive_fields(network).modules)]


@tries("networks/weights.py", "copy the whole run again, or train again")
def _other_weights(place: Path) -> Again:
    save_weights(UNet(flat(channels=(4, 8, 8))).state_dict(), place / "a.safetensors")
    yield lambda: load_weights(UNet(flat()), place / "a.safetensors")
    save_weights(UNet(flat()).state_dict(), place / "a.safetensors")
    yield lambda: load_weights(UNet(flat()), place / "a.safetensors")


@tries("networks/weights.py", "copy the file whole, or save the state dict again")
def _torn_weights(place: Path) -> Again:
    state = UNet(flat()).state_dict()
    save_weights(state, place / "whole.safetensors")
    (place / "a.safetensors").write_bytes((place / "whole.safetensors").read_bytes()[:-100])
    yield lambda: read_weights(place / "a.safetensors")
    yield lambda: read_weights(place / "whole.safetensors")
    torch.save(state, place / "again.pt")
    yield lambda: read_weights(place / "again.pt")


@tries("networks/classification/study_pooling.py", "leave out studies without slices")
def _no_slices(place: Path) -> Again:
    yield lambda: split_studies(torch.zeros(5, 2), [3, 0, 2])
    yield lambda: split_studies(torch.zeros(5, 2), [3, 2])


@tries("networks/classification/from_unet.py", "build the classifier with encoder_classifier()")
def _other_layers(place: Path) -> Again:
    unet = UNet(flat())
    other = SliceClassifier(encoder_classifier(flat(blocks=(1, 1, 1)), out_channels=2))
    yield lambda: load_unet_encoder(other, unet.state_dict())
    built = SliceClassifier(encoder_classifier(unet.config, out_channels=2))
    yield lambda: load_unet_encoder(built, unet.state_dict())


@tries("networks/classification/from_unet.py", "build the classifier with encoder_classifier()")
def _other_width(place: Path) -> Again:
    unet = UNet(flat())
    other = SliceClassifier(encoder_classifier(flat(channels=(4, 8, 8)), out_channels=2))
    yield lambda: load_unet_encoder(other, unet.state_dict())
    built = SliceClassifier(encoder_classifier(unet.config, out_channels=2))
    yield lambda: load_unet_encoder(built, unet.state_dict())


def classifier(**settings: Any) -> SliceClassifier:
    shape = {"architecture": "resnet18", "in_channels": 3, "out_channels": 2}
    return SliceClassifier(ClassifierConfig(**shape | settings)).eval()  # type: ignore[arg-type]


@tries("networks/classification/build.py", "pad or resample them, or choose another architecture")
def _small_slices(place: Path) -> Again:
    slices = torch.zeros(1, 3, 16, 16)
    yield lambda: classifier(architecture="alexnet")(slices)
    yield lambda: classifier(architecture="alexnet")(functional.pad(slices, (40, 40, 40, 40)))
    yield lambda: classifier(architecture="alexnet")(functional.interpolate(slices, size=(96, 96)))
    yield lambda: classifier(stem="small")(slices)


@tries("networks/classification/build.py", "build the classifier with one of these")
def _no_attention(place: Path) -> Again:
    yield lambda: classifier(pooling="none").study_logits(torch.zeros(4, 512), [4])
    for pooling in ("attention", "max", "mean"):
        network = classifier(pooling=pooling)
        yield lambda network=network: network.study_logits(torch.zeros(4, 512), [4])  # type: ignore[misc]
    yield lambda: classifier(pooling="attention").slice_weights(torch.zeros(4, 512), [4])


def published(place: Path) -> Path:
    """A file of weights as torchvision names them."""
    torch.save(ResNet(BasicBlock, (2, 2, 2, 2)).state_dict(), place / "resnet18.pth")
    return place / "resnet18.pth"


@tries("networks/classification/imagenet.py", "start without them")
def _never_published(place: Path) -> Again:
    network = SliceClassifier(encoder_classifier(flat(), out_channels=2))
    path = published(place)
    yield lambda: load_imagenet(network, path)
    yield lambda: network(torch.zeros(1, 2, 32, 32))


@tries("networks/classification/imagenet.py", "build the classifier with the architecture of the weights")
def _other_architecture(place: Path) -> Again:
    path = published(place)
    yield lambda: load_imagenet(classifier(architecture="resnet34"), path)
    yield lambda: load_imagenet(classifier(), path)


@tries("networks/classification/imagenet.py", "build the classifier with the width, stem and blocks of the weights")
def _other_shape(place: Path) -> Again:
    path = published(place)
    yield lambda: load_imagenet(classifier(width=32), path)
    yield lambda: load_imagenet(classifier(), path)
