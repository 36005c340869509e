"""Published ImageNet weights, in torchvision's naming, from a local file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from medseg.errors import CheckpointError, ConfigError
from medseg.networks.classification.architecture import ARCHITECTURES, WeightNaming
from medseg.networks.classification.build import SliceClassifier
from medseg.networks.classification.config import ClassifierConfig
from medseg.networks.classification.first_convolution import spread_grey
from medseg.networks.weights import read_weights

_PARTS = {"first": "1", "second": "2", "reduce": "1", "middle": "2", "expand": "3"}
_LAYERS = {"0": "conv", "1": "bn"}


def load_imagenet(network: SliceClassifier, path: Path) -> None:
    """Load published weights: ResNet-18 to 152, AlexNet, VGG-16 or DenseNet-121.

    The first convolution is fitted to `in_channels` by `spread_grey`; three channels are copied. The last layer is
    loaded if the number of classes is the same, else it stays untrained, as does the attention of
    `pooling="attention"`. The weights expect images of about zero mean and unit variance.

    Args:
        network: Classifier of the published width, depth, stem, shortcut and activation.
        path: File `.safetensors`, or `.pt` or `.pth` as torchvision publishes it or a training saved it.

    Raises:
        ConfigError: If no weights of this network are published.
        CheckpointError: If the file is not readable, or weights are missing, unexpected or of another shape.

    Source: https://docs.pytorch.org/vision/stable/models.html (names of the weights).
    """
    naming = _naming_of(network.config)
    published = {_modern_name(name): tensor for name, tensor in read_weights(path).items()}
    rename = _RENAME[naming]
    state = network.state_dict()
    names = {ours: rename(ours) for ours in state if not ours.startswith("attention.")}
    _check_names(set(names.values()), set(published), source=path.name)
    loaded = {ours: published.get(theirs, state[ours]) for ours, theirs in names.items()}
    first = next(iter(names))
    loaded[first] = spread_grey(loaded[first], network.config.in_channels)
    if len(loaded["head.bias"]) != network.config.out_channels:
        loaded |= {name: state[name] for name in ("head.weight", "head.bias")}
    _check_shapes({name: state[name] for name in loaded}, loaded, names, source=path.name)
    network.load_state_dict(state | loaded)


def _naming_of(config: ClassifierConfig) -> WeightNaming:
    """Scheme of the names of a network's published weights; refuses a network without published weights."""
    naming = config.facts.weight_naming
    if naming is None:
        published = ", ".join(name for name, facts in ARCHITECTURES.items() if facts.weight_naming)
        raise ConfigError(
            f"classifier.architecture must be one of {published} to load published weights, got {config.architecture}",
            remedy="start without them",
        )
    if config.nonlinearity != "relu":
        raise ConfigError(f"classifier.activation must be relu for published weights, got {config.nonlinearity}")
    if config.is_residual and config.shortcut != "strided":
        raise ConfigError(f"classifier.shortcut must be strided for published weights, got {config.shortcut}")
    return naming


def _check_names(expected: set[str], found: set[str], *, source: str) -> None:
    """Compare names; older files lack the number of batches that batch normalisation has seen, which nothing reads."""
    missing = sorted(name for name in expected - found if not name.endswith("num_batches_tracked"))
    unexpected = sorted(found - expected)
    if missing or unexpected:
        raise CheckpointError(
            f"weights {source}: names must be torchvision's of this architecture; "
            f"missing {_first_few(missing)}, unexpected {_first_few(unexpected)}",
            remedy="build the classifier with the architecture of the weights",
        )


def _check_shapes(
    wanted: Mapping[str, Tensor], loaded: Mapping[str, Tensor], names: Mapping[str, str], *, source: str
) -> None:
    for name, tensor in wanted.items():
        if tensor.shape != loaded[name].shape:
            raise CheckpointError(
                f"weights {source}: {names[name]} must have the shape {tuple(tensor.shape)}, got "
                f"{tuple(loaded[name].shape)}",
                remedy="build the classifier with the width, stem and blocks of the weights",
            )


def _first_few(names: list[str]) -> str:
    return (", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")) or "none"


def _modern_name(name: str) -> str:
    """Name in torchvision's code, such as `norm1`, for one in DenseNet's published file, such as `norm.1`."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2", name)


def _resnet_name(name: str) -> str:
    """`body.stages.0.1.first.0.weight` is `layer1.1.conv1.weight`."""
    if name.startswith("head."):
        return name.replace("head.", "fc.")
    if stem := re.fullmatch(r"body\.stem\.0\.([01])\.(\w+)", name):
        return f"{_LAYERS[stem[1]]}1.{stem[2]}"
    if shortcut := re.fullmatch(r"body\.stages\.(\d+)\.(\d+)\.shortcut\.0\.([01])\.(\w+)", name):
        return f"layer{int(shortcut[1]) + 1}.{shortcut[2]}.downsample.{shortcut[3]}.{shortcut[4]}"
    block = re.fullmatch(r"body\.stages\.(\d+)\.(\d+)\.(\w+)\.([01])\.(\w+)", name)
    if block is None:
        raise ValueError(f"{name} is not of a residual net")
    return f"layer{int(block[1]) + 1}.{block[2]}.{_LAYERS[block[4]]}{_PARTS[block[3]]}.{block[5]}"


def _sequential_name(name: str) -> str:
    """`body.0.weight` is `features.0.weight`; torchvision's `classifier` lacks the neck's first three layers."""
    place, *rest = name.split(".", 1)
    if place == "body":
        return f"features.{rest[0]}"
    if place == "head":
        return f"classifier.6.{rest[0]}"
    index, kind = rest[0].split(".")
    return f"classifier.{int(index) - 3}.{kind}"


def _densenet_name(name: str) -> str:
    """`body.features.denseblock1.denselayer1.layers.norm1.weight` lacks `body.` and `layers.`."""
    return name.removeprefix("body.").replace(".layers.", ".").replace("head.", "classifier.")


_RENAME: dict[WeightNaming, Callable[[str], str]] = {
    "resnet": _resnet_name,
    "sequential": _sequential_name,
    "densenet": _densenet_name,
}
