"""How a network of quantities is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medseg.training.segmentation.config import PatchTrainingConfig

LossKind = Literal["l1", "l2", "l1_ssim"]


class RegressionTrainingConfig(PatchTrainingConfig):
    """Settings of a regression: those of every training on patches, and its loss.

    Attributes:
        unusual_share: Share of patches centred on a voxel of the tenth whose values are furthest from the case's
            median; the others are centred on any voxel that is known.
        loss: `l1` for absolute differences, `l2` for squared ones, `l1_ssim` for absolute ones and structural
            similarity; of values as the network learns them, near 1.
        ssim_weight: Weight of 1 - SSIM beside the absolute differences.
    """

    unusual_share: float = Field(0.5, ge=0, le=1)
    loss: LossKind = "l1"
    ssim_weight: float = Field(0.2, ge=0, allow_inf_nan=False)
