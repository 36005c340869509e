"""The architectures of slice classifiers: one table, without torch, from which choices, builders and charts derive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from medseg.networks.config import ActivationKind, BlockKind

Architecture = Literal[
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "plain18", "plain34",
    "alexnet", "vgg16", "bn_inception", "densenet121", "efficientnet_b0", "encoder",
]  # fmt: skip
Family = Literal["residual", "plain", "classical", "encoder"]
Builder = Literal["resnet", "alexnet", "vgg16", "bn_inception", "densenet121", "efficientnet_b0", "encoder"]
WeightNaming = Literal["resnet", "sequential", "densenet"]


@dataclass(frozen=True, slots=True)
class ArchitectureFacts:
    """Facts about an architecture that are known before it is built.

    Attributes:
        name: Name in plans and options.
        label: Name in running text.
        family: Kind of net: residual, the same without shortcuts, published nets of other kinds, or a UNet's encoder.
        builder: Function of `build.py` that builds it.
        block: Kind of the blocks of a residual or plain net; None for the others.
        blocks: Blocks per stage of a residual or plain net; empty for the others.
        depth: Layers with weights of a published net without such stages; None where they follow from blocks.
        smallest_side: Fewest pixels along either side of a slice; those of an encoder follow from its strides.
        is_normalised: Whether it has normalisation layers; nets without them learn nothing at the usual rate.
        activation: Non-linearity of a net that has no other; None if it can be chosen.
        weight_naming: Scheme of the names of its ImageNet weights in torchvision; None if none are published.
        is_compared: Whether a comparison trains it by default.
    """

    name: Architecture
    label: str
    family: Family
    builder: Builder
    _: KW_ONLY
    block: BlockKind | None = None
    blocks: tuple[int, ...] = ()
    depth: int | None = None
    smallest_side: int = 1
    is_normalised: bool = True
    activation: ActivationKind | None = None
    weight_naming: WeightNaming | None = None
    is_compared: bool = True


def _plain(name: Architecture, depth: int, blocks: tuple[int, ...]) -> ArchitectureFacts:
    return ArchitectureFacts(name, f"plain net of {depth} layers", "plain", "resnet", block="plain", blocks=blocks)


def _residual(
    name: Architecture, depth: int, block: BlockKind, blocks: tuple[int, ...], *, is_compared: bool = True
) -> ArchitectureFacts:
    return ArchitectureFacts(
        name,
        f"ResNet-{depth}",
        "residual",
        "resnet",
        block=block,
        blocks=blocks,
        weight_naming="resnet",
        is_compared=is_compared,
    )


# Blocks of residual and plain nets: He et al. 2015, https://arxiv.org/abs/1512.03385, table 1 and fig. 3.
_ROWS = (
    _plain("plain18", 18, (2, 2, 2, 2)),
    _residual("resnet18", 18, "residual", (2, 2, 2, 2)),
    _plain("plain34", 34, (3, 4, 6, 3)),
    _residual("resnet34", 34, "residual", (3, 4, 6, 3)),
    _residual("resnet50", 50, "bottleneck", (3, 4, 6, 3)),
    _residual("resnet101", 101, "bottleneck", (3, 4, 23, 3), is_compared=False),
    _residual("resnet152", 152, "bottleneck", (3, 8, 36, 3), is_compared=False),
    ArchitectureFacts("alexnet", "AlexNet", "classical", "alexnet", depth=8, smallest_side=63,
                      is_normalised=False, weight_naming="sequential"),
    ArchitectureFacts("vgg16", "VGG-16", "classical", "vgg16", depth=16, smallest_side=32,
                      is_normalised=False, weight_naming="sequential"),
    ArchitectureFacts("bn_inception", "BN-Inception", "classical", "bn_inception", depth=32, smallest_side=7),
    ArchitectureFacts("densenet121", "DenseNet-121", "classical", "densenet121", depth=121, smallest_side=29,
                      activation="relu", weight_naming="densenet"),
    ArchitectureFacts("efficientnet_b0", "EfficientNet-B0", "classical", "efficientnet_b0", depth=82, smallest_side=32,
                      activation="silu"),
    ArchitectureFacts("encoder", "encoder of a UNet", "encoder", "encoder", is_compared=False),
)  # fmt: skip

ARCHITECTURES: Mapping[Architecture, ArchitectureFacts] = MappingProxyType({facts.name: facts for facts in _ROWS})

NAMED_ARCHITECTURES: tuple[Architecture, ...] = tuple(
    name for name, facts in ARCHITECTURES.items() if facts.family != "encoder"
)
"""Architectures that their name alone describes; an encoder also needs its UNet."""
