"""MONAI's SwinUNETR."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from medseg.configuration import Config
from medseg.errors import ConfigError
from medseg.networks.load_monai import load_monai_nets

_REDUCTION = 32  # patches of 2 voxels, merged four times
Stages = tuple[int, int, int, int]


class SwinUNETRConfig(Config):
    """Shape of a SwinUNETR; the names and defaults are MONAI's.

    Attributes:
        kind: Name of the network in plans and model cards.
        spatial_dims: Number of spatial dimensions, 2 or 3.
        in_channels: Number of image channels.
        out_channels: Number of classes, background included.
        feature_size: Feature channels of the finest stage, doubled per stage; a multiple of 12.
        depths: Transformer blocks of each of the four stages.
        num_heads: Attention heads of each stage, which divide its features.
        window_size: Side of the windows of attention, in tokens.
        use_v2: Whether a residual convolution block stands before each stage.
        use_checkpoint: Whether activations are computed again in the backward pass, which saves memory and costs time.
    """

    kind: Literal["swinunetr"] = "swinunetr"
    spatial_dims: Literal[2, 3]
    in_channels: int = Field(ge=1)
    out_channels: int = Field(ge=1)
    feature_size: int = Field(24, ge=12, multiple_of=12)
    depths: Stages = (2, 2, 2, 2)
    num_heads: Stages = (3, 6, 12, 24)
    window_size: int = Field(7, ge=2)
    use_v2: bool = False
    use_checkpoint: bool = False

    @model_validator(mode="after")
    def _heads_divide_the_features(self) -> Self:
        if min(*self.depths, *self.num_heads) < 1:
            raise ValueError("depths and num_heads must be at least 1")
        for stage, heads in enumerate(self.num_heads):
            features = self.feature_size * 2**stage
            if features % heads:
                raise ValueError(f"num_heads must divide the {features} features of stage {stage}, got {heads}")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Feature channels of each stage, finest first."""
        return tuple(self.feature_size * 2**stage for stage in range(len(self.depths)))

    @property
    def reduction(self) -> tuple[int, ...]:
        """Reduction of each axis at the coarsest stage; patch sizes must be multiples of it."""
        return (_REDUCTION,) * self.spatial_dims

    @property
    def patch_multiple(self) -> tuple[int, ...]:
        """What patch sizes must be multiples of."""
        return self.reduction


def build_swinunetr(config: SwinUNETRConfig) -> nn.Module:
    """A SwinUNETR with random weights, on the CPU.

    Raises:
        ConfigError: If einops, which MONAI's SwinUNETR calls, is not installed.

    Source: Hatamizadeh et al. 2022, https://arxiv.org/abs/2201.01266;
    https://docs.monai.io/en/stable/networks.html#swinunetr.
    """
    if find_spec("einops") is None:
        raise ConfigError("network swinunetr: the package einops must be installed", remedy="install einops")
    # MONAI reads values of tensors while it builds, which the meta device does not have.
    with torch.device("cpu"):
        network: nn.Module = load_monai_nets().SwinUNETR(
            spatial_dims=config.spatial_dims,
            in_channels=config.in_channels,
            out_channels=config.out_channels,
            feature_size=config.feature_size,
            depths=config.depths,
            num_heads=config.num_heads,
            window_size=config.window_size,
            use_v2=config.use_v2,
            use_checkpoint=config.use_checkpoint,
        )
    return network
