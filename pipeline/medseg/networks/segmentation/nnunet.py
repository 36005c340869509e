"""The UNets of nnU-Net v2, for models that were trained there."""

from __future__ import annotations

import math
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from medseg.configuration import Config
from medseg.networks.exact_norm import ExactInstanceNorm
from medseg.networks.layers import AVG_POOL, BATCH_NORM, CONV, TRANSPOSED_CONV

Axes = tuple[int, ...]


class NnunetLayers(Config):
    """Layers around each convolution.

    Attributes:
        conv_bias: Whether convolutions have a bias.
        norm: Normalisation behind each convolution.
        norm_eps: Addend to the variance.
        activation: Non-linearity.
        negative_slope: Slope of a leaky ReLU below 0.
        is_activated_first: Whether the activation stands before the norm.
    """

    conv_bias: bool = True
    norm: Literal["instance", "batch", "none"] = "instance"
    norm_eps: float = Field(1e-5, gt=0)
    activation: Literal["leaky_relu", "relu"] = "leaky_relu"
    negative_slope: float = 0.01
    is_activated_first: bool = False


class _NnunetConfig(Config):
    """What both networks share.

    Attributes:
        spatial_dims: Number of spatial dimensions, 2 or 3.
        in_channels: Number of input channels: those of the image, and in a cascade those of the earlier stage's labels.
        out_channels: Number of labels or regions.
        features: Feature channels of each stage, finest first.
        kernels: Odd kernel size of each stage along each axis.
        strides: Reduction of each stage's input along each axis.
        decoder_convs: Convolutions of each decoder stage, coarsest first.
        layers: Layers around each convolution.
    """

    spatial_dims: Literal[2, 3]
    in_channels: int = Field(ge=1)
    out_channels: int = Field(ge=1)
    features: tuple[int, ...] = Field(min_length=2)
    kernels: tuple[Axes, ...]
    strides: tuple[Axes, ...]
    decoder_convs: tuple[int, ...]
    layers: NnunetLayers = NnunetLayers()

    @model_validator(mode="after")
    def _stages_agree(self) -> Self:
        stages = len(self.features)
        for name, count in (("kernels", len(self.kernels)), ("strides", len(self.strides))):
            if count != stages:
                raise ValueError(f"{name} must have {stages} entries as features, got {count}")
        if len(self.decoder_convs) != stages - 1:
            raise ValueError(f"decoder_convs must have {stages - 1} entries, got {len(self.decoder_convs)}")
        if any(len(axes) != self.spatial_dims for axes in (*self.kernels, *self.strides)):
            raise ValueError(f"kernels and strides must have {self.spatial_dims} axes in every stage")
        if any(size < 1 or size % 2 == 0 for axes in self.kernels for size in axes):
            raise ValueError("kernels must be odd and at least 1")
        if min(*self.features, *self.decoder_convs, *(size for axes in self.strides for size in axes)) < 1:
            raise ValueError("features, decoder_convs and strides must be at least 1")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Feature channels of each stage, finest first."""
        return self.features

    @property
    def reduction(self) -> tuple[int, ...]:
        """Reduction of each axis at the coarsest stage; patch sizes must be multiples of it."""
        return tuple(math.prod(along) for along in zip(*self.strides, strict=True))

    @property
    def patch_multiple(self) -> tuple[int, ...]:
        """What patch sizes must be multiples of."""
        return self.reduction


class PlainConvUNetConfig(_NnunetConfig):
    """Shape of a UNet of stacked convolutions.

    Attributes:
        kind: Name of the network in model cards.
        convs: Convolutions of each encoder stage.
    """

    kind: Literal["plain_conv_unet"] = "plain_conv_unet"
    convs: tuple[int, ...]

    @model_validator(mode="after")
    def _every_stage_has_convolutions(self) -> Self:
        if len(self.convs) != len(self.features) or min(self.convs) < 1:
            raise ValueError(f"convs must be {len(self.features)} numbers of at least 1, got {self.convs}")
        return self


class ResidualEncoderUNetConfig(_NnunetConfig):
    """Shape of a UNet with a residual encoder.

    Attributes:
        kind: Name of the network in model cards.
        blocks: Residual blocks of each encoder stage.
        stem_features: Feature channels of the convolution before the first stage.
    """

    kind: Literal["residual_encoder_unet"] = "residual_encoder_unet"
    blocks: tuple[int, ...]
    stem_features: int = Field(ge=1)

    @model_validator(mode="after")
    def _every_stage_has_blocks(self) -> Self:
        if len(self.blocks) != len(self.features) or min(self.blocks) < 1:
            raise ValueError(f"blocks must be {len(self.features)} numbers of at least 1, got {self.blocks}")
        return self


AnyNnunetConfig = PlainConvUNetConfig | ResidualEncoderUNetConfig


class PlainConvUNet(nn.Module):
    """A UNet of stacked convolutions.

    Args:
        config: Shape of the network.

    Source: Isensee et al. 2021, https://doi.org/10.1038/s41592-020-01008-z.
    """

    def __init__(self, config: PlainConvUNetConfig) -> None:
        super().__init__()
        self.config = config
        stages = zip((config.in_channels, *config.features), _stages(config), config.convs, strict=False)
        self.encoder = nn.ModuleList(
            _stacked(config, count, (inputs, outputs), kernel, stride=stride)
            for inputs, (outputs, kernel, stride), count in stages
        )
        self.decoder = NnunetDecoder(config)

    def forward(self, x: Tensor) -> Tensor:
        """Image `(B, in_channels, I, J[, K])` to logits `(B, out_channels, I, J[, K])`."""
        logits: Tensor = self.decoder(_features(self.encoder, x))
        return logits


class ResidualEncoderUNet(nn.Module):
    """A UNet with a stem and residual blocks in its encoder.

    Args:
        config: Shape of the network.

    Source: Isensee et al. 2024, https://arxiv.org/abs/2404.09556.
    """

    def __init__(self, config: ResidualEncoderUNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = ConvBlock(config, (config.in_channels, config.stem_features), config.kernels[0])
        stages = zip((config.stem_features, *config.features), _stages(config), config.blocks, strict=False)
        self.encoder = nn.ModuleList(
            nn.Sequential(
                *(
                    ResidualBlock(config, (outputs if n else inputs, outputs), kernel, stride=None if n else stride)
                    for n in range(count)
                )
            )
            for inputs, (outputs, kernel, stride), count in stages
        )
        self.decoder = NnunetDecoder(config)

    def forward(self, x: Tensor) -> Tensor:
        """Image `(B, in_channels, I, J[, K])` to logits `(B, out_channels, I, J[, K])`."""
        logits: Tensor = self.decoder(_features(self.encoder, self.stem(x)))
        return logits


class NnunetDecoder(nn.Module):
    """Transposed convolutions, each followed by convolutions of its output beside the encoder's features."""

    def __init__(self, config: AnyNnunetConfig) -> None:
        super().__init__()
        layers = config.layers
        upwards = list(zip(_stages(config)[:0:-1], _stages(config)[-2::-1], config.decoder_convs, strict=True))
        self.upsamplings = nn.ModuleList(
            TRANSPOSED_CONV[config.spatial_dims](below, beside, stride, stride, bias=layers.conv_bias)
            for (below, _, stride), (beside, _, _), _ in upwards
        )
        self.stages = nn.ModuleList(
            _stacked(config, count, (2 * beside, beside), kernel) for _, (beside, kernel, _), count in upwards
        )
        self.head = CONV[config.spatial_dims](config.features[0], config.out_channels, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features of the encoder, finest first, to logits."""
        x = features.pop()
        for upsample, stage in zip(self.upsamplings, self.stages, strict=True):
            x = stage(torch.cat((upsample(x), features.pop()), dim=1))
        logits: Tensor = self.head(x)
        return logits


class ConvBlock(nn.Module):
    """A convolution with its norm and, unless it ends a residual branch, an activation."""

    def __init__(
        self,
        config: AnyNnunetConfig,
        channels: tuple[int, int],
        kernel: Axes,
        *,
        stride: Axes | None = None,
        is_activated: bool = True,
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        layers = config.layers
        self.conv = CONV[config.spatial_dims](
            *channels,
            kernel,
            stride or 1,
            tuple(size // 2 for size in kernel),
            bias=layers.conv_bias if bias is None else bias,
        )
        self.norm = _norm(config, channels[1])
        self.act = _activation(layers) if is_activated else nn.Identity()
        self.is_activated_first = layers.is_activated_first

    def forward(self, x: Tensor) -> Tensor:
        """X `(B, C, …)` to `(B, outputs, …)`."""
        x = self.conv(x)
        result: Tensor = self.norm(self.act(x)) if self.is_activated_first else self.act(self.norm(x))
        return result


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut that averages over its stride.

    Source: He et al. 2018, https://arxiv.org/abs/1812.01187, ResNet-D.
    """

    def __init__(
        self, config: AnyNnunetConfig, channels: tuple[int, int], kernel: Axes, *, stride: Axes | None = None
    ) -> None:
        super().__init__()
        inputs, outputs = channels
        self.first = ConvBlock(config, channels, kernel, stride=stride)
        self.second = ConvBlock(config, (outputs, outputs), kernel, is_activated=False)
        has_stride = stride is not None and max(stride) > 1
        self.pool = AVG_POOL[config.spatial_dims](stride, stride) if has_stride else nn.Identity()
        self.skip: nn.Module = nn.Identity()
        if inputs != outputs:
            self.skip = ConvBlock(config, channels, (1,) * config.spatial_dims, is_activated=False, bias=False)
        self.act = _activation(config.layers)

    def forward(self, x: Tensor) -> Tensor:
        """X `(B, C, …)` to `(B, outputs, …)`."""
        result: Tensor = self.act(self.second(self.first(x)) + self.skip(self.pool(x)))
        return result


def build_nnunet(config: AnyNnunetConfig) -> nn.Module:
    """The untrained network of some settings."""
    return PlainConvUNet(config) if isinstance(config, PlainConvUNetConfig) else ResidualEncoderUNet(config)


def _stages(config: AnyNnunetConfig) -> list[tuple[int, Axes, Axes]]:
    """Features, kernel and stride of each stage, finest first."""
    return list(zip(config.features, config.kernels, config.strides, strict=True))


def _features(stages: nn.ModuleList, x: Tensor) -> list[Tensor]:
    features = []
    for stage in stages:
        x = stage(x)
        features.append(x)
    return features


def _stacked(
    config: AnyNnunetConfig, count: int, channels: tuple[int, int], kernel: Axes, *, stride: Axes | None = None
) -> nn.Sequential:
    """Convolutions after each other, the first of them with the stride."""
    inputs, outputs = channels
    first = ConvBlock(config, (inputs, outputs), kernel, stride=stride)
    return nn.Sequential(first, *(ConvBlock(config, (outputs, outputs), kernel) for _ in range(count - 1)))


def _norm(config: AnyNnunetConfig, channels: int) -> nn.Module:
    layers = config.layers
    if layers.norm == "none":
        return nn.Identity()
    if layers.norm == "batch":
        return BATCH_NORM[config.spatial_dims](channels, eps=layers.norm_eps)
    norm = ExactInstanceNorm(channels)
    norm.eps = layers.norm_eps
    return norm


def _activation(layers: NnunetLayers) -> nn.Module:
    if layers.activation == "relu":
        return nn.ReLU(inplace=True)
    return nn.LeakyReLU(layers.negative_slope, inplace=True)
