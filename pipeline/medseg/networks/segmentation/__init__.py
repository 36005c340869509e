"""The UNet."""

from __future__ import annotations

from medseg.networks.segmentation.unet import UNet, unet_2015

__all__ = [
    "UNet",
    "unet_2015",
]
