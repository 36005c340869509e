"""The configuration of a slice classifier."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from medseg.configuration import Config
from medseg.networks.classification.architecture import ARCHITECTURES, Architecture, ArchitectureFacts
from medseg.networks.config import ActivationKind, NetworkConfig, ShortcutKind

PoolingKind = Literal["none", "max", "mean", "attention"]


class ClassifierConfig(Config):
    """Shape of a 2D classifier of slices.

    Attributes:
        architecture: Name of the network; `encoder` is the encoder of our UNet that the field `encoder` describes.
        in_channels: Image channels times neighbouring slices (2.5D), laid out as `(channel, slice)`: all slices of
            the first image channel come first.
        out_channels: Number of classes, or of labels if several can hold at once.
        activation: Non-linearity; None is the architecture's own: SiLU for EfficientNet, ReLU for the others. It cannot
            be chosen for DenseNet, EfficientNet and the encoder.
        width: Channels of the first stage of a residual or plain net; every stage doubles them.
        stem: Beginning of a residual or plain net: 7×7 with stride 2 and max pooling, or, for small slices, 3×3.
        blocks: Blocks per stage of a residual or plain net of another depth, one entry per stage; None is the
            architecture's own. `(9, 9, 9)` with `width=16` and `stem="small"` is the CIFAR network of 56 layers.
        shortcut: Stride of a residual net's shortcut: `strided` is the paper's, which published weights were trained
            with, `averaged` is ResNet-D's. The number of parameters is the same.
        pooling: Pooling of a study's slices if labels are per study; `none` if they are per slice.
        encoder: The 2D UNet that lends its encoder, only for `architecture="encoder"`.
    """

    architecture: Architecture = "resnet18"
    in_channels: int = Field(1, ge=1)
    out_channels: int = Field(ge=1)
    activation: ActivationKind | None = None
    width: int = Field(64, ge=1)
    stem: Literal["imagenet", "small"] = "imagenet"
    blocks: tuple[int, ...] | None = None
    shortcut: ShortcutKind = "strided"
    pooling: PoolingKind = "none"
    encoder: NetworkConfig | None = None

    @model_validator(mode="after")
    def _residual_settings_are_of_residual_nets(self) -> Self:
        if self.is_residual or self.is_plain:
            if self.blocks is not None and (not self.blocks or min(self.blocks) < 1):
                raise ValueError(f"blocks must hold at least one stage of at least one block, got {self.blocks}")
            return self
        for name in ("width", "stem", "blocks", "shortcut"):
            default = type(self).model_fields[name].default
            if getattr(self, name) != default:
                raise ValueError(f"{name} is of residual and plain nets; leave it out for {self.architecture}")
        return self

    @model_validator(mode="after")
    def _activation_can_be_chosen(self) -> Self:
        own = self.encoder.activation if self.encoder else self.facts.activation
        if own is not None and self.activation not in (None, own):
            raise ValueError(f"activation of {self.architecture} is {own}, got {self.activation}; leave it out")
        return self

    @model_validator(mode="after")
    def _encoder_fits(self) -> Self:
        if (self.architecture == "encoder") != (self.encoder is not None):
            raise ValueError("encoder must be given with architecture 'encoder', and only then")
        if self.encoder is None:
            return self
        if self.encoder.spatial_dims != 2:
            raise ValueError("encoder.spatial_dims must be 2, got 3; flatten it with encoder_classifier()")
        if self.in_channels % self.encoder.in_channels:
            raise ValueError(
                f"in_channels must be a multiple of the encoder's {self.encoder.in_channels}, got {self.in_channels}"
            )
        return self

    @property
    def spatial_dims(self) -> Literal[2]:
        """Spatial dimensions of the input, which is a picture."""
        return 2

    @property
    def facts(self) -> ArchitectureFacts:
        """Row of the architecture in the table."""
        return ARCHITECTURES[self.architecture]

    @property
    def is_plain(self) -> bool:
        """Whether it is a net of a residual net's depth without shortcuts."""
        return self.facts.family == "plain"

    @property
    def is_residual(self) -> bool:
        """Whether it is a residual net, of basic or bottleneck blocks."""
        return self.facts.family == "residual"

    @property
    def is_bottleneck(self) -> bool:
        """Whether its blocks are bottlenecks of three convolutions."""
        return self.facts.block == "bottleneck"

    @property
    def stage_blocks(self) -> tuple[int, ...]:
        """Blocks per stage of a residual or plain net; empty for the others."""
        return self.blocks or self.facts.blocks

    @property
    def depth(self) -> int | None:
        """Layers with weights from input to output, as in a residual net's name; None for the other nets."""
        per_block = 3 if self.is_bottleneck else 2
        return per_block * sum(self.stage_blocks) + 2 if self.stage_blocks else None

    @property
    def nonlinearity(self) -> ActivationKind:
        """The activation in use, chosen or the architecture's own."""
        if self.encoder is not None:
            return self.encoder.activation
        return self.activation or self.facts.activation or "relu"
