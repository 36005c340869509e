"""Segmentation networks: our UNet, and MONAI's by name."""

from __future__ import annotations

from medseg.networks.segmentation.build import AnyNetwork, build_network, build_weightless
from medseg.networks.segmentation.dynunet import DynUNet, DynUNetConfig
from medseg.networks.segmentation.segresnet import SegResNetConfig
from medseg.networks.segmentation.swinunetr import SwinUNETRConfig
from medseg.networks.segmentation.unet import UNet, unet_2015

__all__ = [
    "AnyNetwork",
    "DynUNet",
    "DynUNetConfig",
    "SegResNetConfig",
    "SwinUNETRConfig",
    "UNet",
    "build_network",
    "build_weightless",
    "unet_2015",
]
