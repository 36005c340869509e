"""Residual-encoder UNet in 2D and 3D, built from one encoder that the slice classifier shares."""

from __future__ import annotations

from pipeline.networks.config import NetworkConfig
from pipeline.networks.encoder import Encoder
from pipeline.networks.parameters import count_parameters
from pipeline.networks.unet import UNet, unet_2015

__all__ = ["Encoder", "NetworkConfig", "UNet", "count_parameters", "unet_2015"]
