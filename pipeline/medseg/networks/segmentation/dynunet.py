"""MONAI's DynUNet, the UNet of nnU-Net."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from medseg.configuration import Config
from medseg.networks.load_monai import load_monai_nets


class DynUNetConfig(Config):
    """Shape of a DynUNet; the names are MONAI's.

    Attributes:
        kind: Name of the network in plans and model cards.
        spatial_dims: Number of spatial dimensions, 2 or 3.
        in_channels: Number of image channels.
        out_channels: Number of classes, background included.
        kernel_size: Odd kernel size of each stage along each axis, finest stage first.
        strides: Reduction of each stage's input along each axis; 1 in the first.
        filters: Feature channels of each stage.
        res_block: Whether the encoder's blocks are residual.
        deep_supervision: Whether coarser decoder stages are trained with the label too.
        deep_supr_num: Number of those stages.
        dropout: Share of features that a training step drops behind each convolution; none without a value.
    """

    kind: Literal["dynunet"] = "dynunet"
    spatial_dims: Literal[2, 3]
    in_channels: int = Field(ge=1)
    out_channels: int = Field(ge=1)
    kernel_size: tuple[tuple[int, ...], ...] = Field(min_length=3)
    strides: tuple[tuple[int, ...], ...]
    filters: tuple[int, ...]
    res_block: bool = False
    deep_supervision: bool = False
    deep_supr_num: int = Field(1, ge=1)
    dropout: float | None = Field(None, gt=0, lt=1)

    @model_validator(mode="after")
    def _stages_agree(self) -> Self:
        stages = len(self.kernel_size)
        for name, values in (("strides", self.strides), ("filters", self.filters)):
            if len(values) != stages:
                raise ValueError(f"{name} must have {stages} entries as kernel_size, got {len(values)}")
        if any(len(axes) != self.spatial_dims for axes in (*self.strides, *self.kernel_size)):
            raise ValueError(f"strides and kernel_size must have {self.spatial_dims} axes in every stage")
        if min(*self.filters, *(size for axes in (*self.strides, *self.kernel_size) for size in axes)) < 1:
            raise ValueError("filters, strides and kernel_size must be at least 1")
        if any(kernel % 2 == 0 for axes in self.kernel_size for kernel in axes):
            raise ValueError("kernel_size must be odd")
        if max(self.strides[0]) > 1:
            raise ValueError(f"strides must begin with 1 along every axis, got {self.strides[0]}")
        for kernels, strides in zip(self.kernel_size, self.strides, strict=True):
            if any(stride > kernel + 1 for kernel, stride in zip(kernels, strides, strict=True)):
                raise ValueError(f"strides must be at most 1 above kernel_size, got {strides} for {kernels}")
        if self.deep_supervision and self.deep_supr_num > stages - 2:
            raise ValueError(
                f"deep_supr_num must be at most {stages - 2} for {stages} stages, got {self.deep_supr_num}"
            )
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Feature channels of each stage, finest first."""
        return self.filters

    @property
    def reduction(self) -> tuple[int, ...]:
        """Reduction of each axis at the coarsest stage; patch sizes must be multiples of it."""
        return tuple(math.prod(along) for along in zip(*self.strides, strict=True))

    @property
    def patch_multiple(self) -> tuple[int, ...]:
        """What patch sizes must be multiples of."""
        return self.reduction


class DynUNet(nn.Module):
    """The blocks of MONAI's DynUNet, whose weights have the same names.

    MONAI's own forward returns the scales enlarged and stacked while it trains, one tensor otherwise, and holds every
    block twice, which safetensors cannot store. Here `forward` gives the logits in both modes, and `scales` gives all
    supervised ones on their own grids.

    Args:
        config: Shape of the network.

    Source: Isensee et al. 2021, https://doi.org/10.1038/s41592-020-01008-z;
    https://docs.monai.io/en/stable/networks.html#dynunet.
    """

    def __init__(self, config: DynUNetConfig) -> None:
        super().__init__()
        self.config = config
        network = load_monai_nets().DynUNet(
            spatial_dims=config.spatial_dims,
            in_channels=config.in_channels,
            out_channels=config.out_channels,
            kernel_size=config.kernel_size,
            strides=config.strides,
            upsample_kernel_size=config.strides[1:],
            filters=config.filters,
            dropout=config.dropout,
            deep_supervision=config.deep_supervision,
            deep_supr_num=config.deep_supr_num,
            res_block=config.res_block,
        )
        self.input_block = network.input_block
        self.downsamples = network.downsamples
        self.bottleneck = network.bottleneck
        self.upsamples = network.upsamples
        self.output_block = network.output_block
        self.deep_supervision_heads = network.deep_supervision_heads if config.deep_supervision else nn.ModuleList()

    def forward(self, x: Tensor) -> Tensor:
        """Image `(B, in_channels, I, J[, K])` to logits `(B, out_channels, I, J[, K])`."""
        logits: Tensor = self.output_block(self._decoded(x)[0])
        return logits

    def scales(self, x: Tensor) -> list[Tensor]:
        """Logits of every supervised stage, finest first; one entry without deep supervision."""
        decoded = self._decoded(x)
        heads = [self.output_block, *self.deep_supervision_heads]
        return [head(features) for head, features in zip(heads, decoded, strict=False)]

    def _decoded(self, x: Tensor) -> list[Tensor]:
        """Feature maps of the decoder, finest first."""
        skips = [self.input_block(x)]
        for downsample in self.downsamples:
            skips.append(downsample(skips[-1]))
        x = self.bottleneck(skips[-1])
        decoded: list[Tensor] = []
        for upsample in self.upsamples:
            x = upsample(x, skips.pop())
            decoded.insert(0, x)
        return decoded
