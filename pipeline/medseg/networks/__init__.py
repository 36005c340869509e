"""Residual-encoder UNet in 2D and 3D, and slice classifiers built from the same blocks."""

from __future__ import annotations

from medseg.networks.config import NetworkConfig
from medseg.networks.cost import count_multiply_adds
from medseg.networks.encoder import Encoder
from medseg.networks.gradient_flow import GradientNorm, gradient_norms
from medseg.networks.parameters import count_parameters

__all__ = [
    "Encoder",
    "GradientNorm",
    "NetworkConfig",
    "count_multiply_adds",
    "count_parameters",
    "gradient_norms",
]
