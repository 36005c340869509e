"""The networks that a plan can name, and the one function that builds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Discriminator, Tag
from torch import nn

from medseg.networks.config import NetworkConfig
from medseg.networks.segmentation.dynunet import DynUNet, DynUNetConfig
from medseg.networks.segmentation.multitask import MultitaskUNet
from medseg.networks.segmentation.nnunet import PlainConvUNetConfig, ResidualEncoderUNetConfig, build_nnunet
from medseg.networks.segmentation.segresnet import SegResNetConfig, build_segresnet
from medseg.networks.segmentation.swinunetr import SwinUNETRConfig, build_swinunetr
from medseg.networks.segmentation.unet import UNet


def _kind_of(content: Any) -> str:
    """Kind that settings name; those without one are a UNet's."""
    kind = content.get("kind", "unet") if isinstance(content, Mapping) else getattr(content, "kind", "unet")
    return str(kind)


AnyNetwork = Annotated[
    Annotated[NetworkConfig, Tag("unet")]
    | Annotated[DynUNetConfig, Tag("dynunet")]
    | Annotated[SegResNetConfig, Tag("segresnet")]
    | Annotated[SwinUNETRConfig, Tag("swinunetr")]
    | Annotated[PlainConvUNetConfig, Tag("plain_conv_unet")]
    | Annotated[ResidualEncoderUNetConfig, Tag("residual_encoder_unet")],
    Discriminator(_kind_of),
]
"""Settings of a network of any kind, which `kind` names."""


def build_network(config: AnyNetwork) -> nn.Module:
    """The untrained network of some settings.

    It maps images `(B, in_channels, I, J[, K])` to logits `(B, out_channels, I, J[, K])` in training and evaluation
    alike; a method `scales`, if it has one, gives the logits of all supervised scales, finest first.
    """
    match config:
        case NetworkConfig():
            return MultitaskUNet(config) if config.head_classes else UNet(config)
        case DynUNetConfig():
            return DynUNet(config)
        case SegResNetConfig():
            return build_segresnet(config)
        case SwinUNETRConfig():
            return build_swinunetr(config)
        case PlainConvUNetConfig() | ResidualEncoderUNetConfig():
            return build_nnunet(config)


def build_weightless(config: AnyNetwork) -> nn.Module:
    """The network of some settings for `load_weights`, without drawing random weights first where it can do without."""
    if not isinstance(config, NetworkConfig):  # the others compute tables as they are built
        return build_network(config)
    with torch.device("meta"):
        return build_network(config)
