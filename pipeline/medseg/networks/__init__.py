"""Residual-encoder UNet in 2D and 3D, and slice classifiers built from the same blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medseg.lazy import lazy_names

if TYPE_CHECKING:
    from medseg.networks.config import NetworkConfig
    from medseg.networks.cost import count_multiply_adds, count_parameters
    from medseg.networks.encoder import Encoder
    from medseg.networks.gradient_flow import GradientNorm, gradient_norms
    from medseg.networks.weights import load_weights, read_weights, save_weights
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "Encoder": "encoder",
            "GradientNorm": "gradient_flow",
            "NetworkConfig": "config",
            "count_multiply_adds": "cost",
            "count_parameters": "cost",
            "gradient_norms": "gradient_flow",
            "load_weights": "weights",
            "read_weights": "weights",
            "save_weights": "weights",
        },
    )

__all__ = [
    "Encoder",
    "GradientNorm",
    "NetworkConfig",
    "count_multiply_adds",
    "count_parameters",
    "gradient_norms",
    "load_weights",
    "read_weights",
    "save_weights",
]
