"""Model cards and scans that the tests of inference share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.inference.segmentation import InferenceConfig, ModelCard
from medseg.networks import NetworkConfig
from medseg.preprocess import ChannelNormalisation, PreprocessConfig

CardBuilder = Callable[..., ModelCard]


@pytest.fixture(scope="session")
def build_card() -> CardBuilder:
    """A function that makes the card of a small model, with some fields changed."""

    def build(**changes: Any) -> ModelCard:
        fields: dict[str, Any] = {
            "medseg_version": "0.1.0",
            "dataset": "made up 1",
            "channels": ("MR",),
            "labels": {"background": 0, "spleen": 3, "liver": 7},
            "network": NetworkConfig(
                spatial_dims=3,
                in_channels=1,
                out_channels=3,
                channels=(4, 8),
                strides=((1, 1, 1), (2, 2, 2)),
                kernels=((3, 3, 3), (3, 3, 3)),
                blocks=(1, 1),
                decoder_blocks=(1,),
            ),
            "preprocess": PreprocessConfig(axcodes="RAS", normalisation=(ChannelNormalisation(kind="none"),)),
            "inference": InferenceConfig(patch_size=(8, 8, 8)),
            "trained_on": ("seen",),
            "manifest_digest": "m" * 64,
            "plan_digest": "p" * 64,
        }
        return ModelCard(**fields | changes)

    return build


@pytest.fixture(scope="session")
def oblique() -> Geometry:
    """An anisotropic grid whose axes are ordered, flipped and tilted: k runs to the left, i upwards, j forwards."""
    angle = np.radians(12.0)
    about_s = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_s @ np.array([[0.0, 0.0, -3.0], [0.0, 1.5, 0.0], [2.0, 0.0, 0.0]])
    affine[:3, 3] = (31.0, -17.0, 5.0)
    return Geometry((13, 18, 9), affine)
