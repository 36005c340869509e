"""The configuration of a UNet, stage by stage."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from medseg.configuration import Config

BlockKind = Literal["plain", "residual", "bottleneck"]
NormKind = Literal["instance", "batch", "group", "none"]
ActivationKind = Literal["relu", "leaky_relu", "prelu", "gelu", "silu"]
SkipKind = Literal["concatenated", "added"]
ShortcutKind = Literal["averaged", "strided"]


class NetworkConfig(Config):
    """Shape of a UNet.

    Attributes:
        kind: Name of the network in plans and model cards.
        spatial_dims: Number of spatial dimensions, 2 or 3.
        in_channels: Number of image channels.
        out_channels: Number of classes, background included.
        channels: Feature channels of each stage, finest first.
        strides: Reduction of each stage's input along each axis. The first is 1 where the finest features lie on the
            image's grid; a larger one saves most of the work, and logits still come on the image's grid.
        kernels: Odd kernel size of each stage along each axis.
        blocks: Blocks per encoder stage.
        decoder_blocks: Convolutions per decoder stage, finest first; one entry fewer than `channels`.
        block: Kind of the encoder's blocks: two plain convolutions, a basic residual or a bottleneck residual block.
        norm: Normalisation after each convolution.
        activation: Non-linearity.
        downsampling: `strided` for a strided first convolution, `maxpool` for max pooling before the stage.
        upsampling: `transposed` for a transposed convolution, `interpolated` for linear interpolation and a 1×1
            convolution.
        skips: How the decoder joins the encoder's features: `concatenated` to its own, or `added`, which costs less.
        deep_supervision: Whether coarser decoder stages are trained with the label too.
        head_classes: Classes of a head on the encoder's coarsest features; 0 for masks alone.
    """

    kind: Literal["unet"] = "unet"
    spatial_dims: Literal[2, 3]
    in_channels: int = Field(ge=1)
    out_channels: int = Field(ge=1)
    channels: tuple[int, ...] = Field(min_length=1)
    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]
    blocks: tuple[int, ...]
    decoder_blocks: tuple[int, ...]
    block: BlockKind = "residual"
    norm: NormKind = "instance"
    activation: ActivationKind = "leaky_relu"
    downsampling: Literal["strided", "maxpool"] = "strided"
    upsampling: Literal["transposed", "interpolated"] = "transposed"
    skips: SkipKind = "concatenated"
    deep_supervision: bool = False
    head_classes: int = Field(0, ge=0, exclude_if=lambda count: count == 0)

    @model_validator(mode="after")
    def _stages_agree(self) -> Self:
        stages = len(self.channels)
        for name, values, expected in (
            ("strides", self.strides, stages),
            ("kernels", self.kernels, stages),
            ("blocks", self.blocks, stages),
            ("decoder_blocks", self.decoder_blocks, stages - 1),
        ):
            if len(values) != expected:
                raise ValueError(f"{name} must have {expected} entries for {stages} stages, got {len(values)}")
        if any(len(axes) != self.spatial_dims for axes in (*self.strides, *self.kernels)):
            raise ValueError(f"strides and kernels must have {self.spatial_dims} axes in every stage")
        if any(kernel % 2 == 0 or kernel < 1 for axes in self.kernels for kernel in axes):
            raise ValueError("kernels must be odd and at least 1")
        if min(*self.channels, *self.blocks, *(s for axes in self.strides for s in axes)) < 1:
            raise ValueError("channels, blocks and strides must be at least 1")
        if min((0, *self.decoder_blocks)) < 0:
            raise ValueError(f"decoder_blocks must be at least 0, got {list(self.decoder_blocks)}")
        if self.block == "bottleneck" and any(width % 4 for width in self.channels):
            raise ValueError("channels must be divisible by 4 for bottleneck blocks")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Feature channels of each stage, finest first."""
        return self.channels

    @property
    def reduction(self) -> tuple[int, ...]:
        """Reduction of each axis at the coarsest stage."""
        return tuple(math.prod(along) for along in zip(*self.strides, strict=True))

    @property
    def patch_multiple(self) -> tuple[int, ...]:
        """What patch sizes must be multiples of: nothing, as halved odd sizes are cut off again on the way up."""
        return (1,) * self.spatial_dims
