"""MONAI's SegResNet."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from torch import nn

from medseg.configuration import Config
from medseg.networks.load_monai import load_monai_nets


class SegResNetConfig(Config):
    """Shape of a SegResNet; the names and defaults are MONAI's, but for the filters.

    Attributes:
        kind: Name of the network in plans and model cards.
        spatial_dims: Number of spatial dimensions, 2 or 3.
        in_channels: Number of image channels.
        out_channels: Number of classes, background included.
        init_filters: Feature channels of the finest stage, doubled per stage; a multiple of 8, the groups of its norms.
        blocks_down: Residual blocks of each encoder stage, finest first; each stage after the first halves all axes.
        blocks_up: Residual blocks of each decoder stage, coarsest first; one entry fewer than `blocks_down`.
        upsample_mode: Linear interpolation (`nontrainable`), transposed convolutions or pixel shuffles.
        dropout_prob: Share of features that a training step drops behind the first convolution; none without a value.
    """

    kind: Literal["segresnet"] = "segresnet"
    spatial_dims: Literal[2, 3]
    in_channels: int = Field(ge=1)
    out_channels: int = Field(ge=1)
    init_filters: int = Field(16, ge=8, multiple_of=8)
    blocks_down: tuple[int, ...] = Field((1, 2, 2, 4), min_length=2)
    blocks_up: tuple[int, ...] = (1, 1, 1)
    upsample_mode: Literal["nontrainable", "deconv", "pixelshuffle"] = "nontrainable"
    dropout_prob: float | None = Field(None, gt=0, lt=1)

    @model_validator(mode="after")
    def _stages_agree(self) -> Self:
        stages = len(self.blocks_down)
        if len(self.blocks_up) != stages - 1:
            raise ValueError(f"blocks_up must have {stages - 1} entries for {stages} stages, got {len(self.blocks_up)}")
        if min(*self.blocks_down, *self.blocks_up) < 1:
            raise ValueError("blocks_down and blocks_up must be at least 1")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Feature channels of each stage, finest first."""
        return tuple(self.init_filters * 2**stage for stage in range(len(self.blocks_down)))

    @property
    def reduction(self) -> tuple[int, ...]:
        """Reduction of each axis at the coarsest stage; patch sizes must be multiples of it."""
        return (2 ** (len(self.blocks_down) - 1),) * self.spatial_dims

    @property
    def patch_multiple(self) -> tuple[int, ...]:
        """What patch sizes must be multiples of."""
        return self.reduction


def build_segresnet(config: SegResNetConfig) -> nn.Module:
    """A SegResNet without the autoencoder that regularised it in the paper.

    Source: Myronenko 2018, https://arxiv.org/abs/1810.11654;
    https://docs.monai.io/en/stable/networks.html#segresnet.
    """
    network: nn.Module = load_monai_nets().SegResNet(
        spatial_dims=config.spatial_dims,
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        init_filters=config.init_filters,
        blocks_down=config.blocks_down,
        blocks_up=config.blocks_up,
        upsample_mode=config.upsample_mode,
        dropout_prob=config.dropout_prob,
    )
    return network
