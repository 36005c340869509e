"""Residual-encoder UNet in 2D and 3D, and slice classifiers built from the same blocks."""

from __future__ import annotations

from pipeline.networks.classifier import ClassifierConfig, SliceClassifier
from pipeline.networks.config import NetworkConfig
from pipeline.networks.cost import count_multiply_adds
from pipeline.networks.encoder import Encoder
from pipeline.networks.gradient_flow import GradientNorm, gradient_norms
from pipeline.networks.parameters import count_parameters
from pipeline.networks.unet import UNet, unet_2015

__all__ = [
    "ClassifierConfig",
    "Encoder",
    "GradientNorm",
    "NetworkConfig",
    "SliceClassifier",
    "UNet",
    "count_multiply_adds",
    "count_parameters",
    "gradient_norms",
    "unet_2015",
]
