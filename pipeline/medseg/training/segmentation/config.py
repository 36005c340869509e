"""How a segmentation network is trained."""

from __future__ import annotations

from pydantic import Field

from medseg.configuration import Voxels
from medseg.training.config import OptimisationConfig


class TrainingConfig(OptimisationConfig):
    """Settings of a segmentation training: those of every training, patches and loss.

    Attributes:
        patch_size: Voxels of a training patch on the network's grid; a last axis of 1 means 2D.
        patches_per_case: Patches drawn from each case per epoch.
        foreground_share: Share of patches centred on a labelled voxel, each label equally often.
        dice_weight: Weight of the Dice loss beside the cross-entropy.
    """

    patch_size: tuple[Voxels, Voxels, Voxels]
    patches_per_case: int = Field(1, ge=1)
    foreground_share: float = Field(0.5, ge=0, le=1)
    dice_weight: float = Field(1.0, ge=0)
