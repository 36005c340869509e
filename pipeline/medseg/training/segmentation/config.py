"""How a segmentation network is trained."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from medseg.configuration import Voxels
from medseg.training.config import OptimisationConfig
from medseg.training.segmentation.coarse import CoarseStart

_SETTLING = 1.3  # of the share of a coarse start, until the moving average of the weights is of the grid's own voxels


class PatchTrainingConfig(OptimisationConfig):
    """Settings of a training on patches of volumes or pictures.

    Attributes:
        patch_size: Voxels of a training patch on the network's grid; a last axis of 1 means 2D.
        patches_per_case: Patches drawn from each case per epoch.
    """

    patch_size: tuple[Voxels, Voxels, Voxels]
    patches_per_case: int = Field(1, ge=1)


class TrainingConfig(PatchTrainingConfig):
    """Settings of a segmentation training: those of every training on patches, and its loss.

    Attributes:
        foreground_share: Share of patches centred on a labelled voxel, each label equally often.
        extra_patches: Patches per epoch that are centred on a label, by its name, in addition to those that every case
            gives; they come from the cases that hold it.
        dice_weight: Weight of the Dice loss beside the cross-entropy.
        fresh_share: Share of the patches that come from new and corrected cases, in a training that updates an earlier
            run; it is held to what draws no case more than ten times as often as another. None in other trainings.
        coarse_start: First share of the training, on coarser voxels; None to train on the grid's own all along.
        raters: What is learned of cases that several raters have drawn: what their labels are fused into, by
            `majority` or `staple`, or with `sampled` the label of one of them in each patch, drawn by the seed. None
            where there are no such cases.
    """

    foreground_share: float = Field(0.5, ge=0, le=1)
    extra_patches: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, exclude_if=lambda patches: not patches
    )
    dice_weight: float = Field(1.0, ge=0, allow_inf_nan=False)
    fresh_share: float | None = Field(None, ge=0, le=1, exclude_if=lambda share: share is None)
    coarse_start: CoarseStart | None = None
    raters: Literal["majority", "staple", "sampled"] | None = Field(None, exclude_if=lambda choice: choice is None)

    def patches_per_epoch(self, cases: int) -> int:
        """Patches of an epoch over so many cases."""
        return cases * self.patches_per_case + sum(self.extra_patches.values())

    @property
    def settled(self) -> float:
        """Progress at which the averaged weights have left the coarse start behind."""
        return _SETTLING * self.coarse_start.share if self.coarse_start else 0.0

    @property
    def coarse(self) -> Self:
        """The same settings with the patch, batch and voxel size of the coarse start."""
        start = self.coarse_start
        if start is None:
            return self
        i, j, k = (mm * factor for mm, factor in zip(self.augment.spacing_mm, start.factor, strict=True))
        augment = self.augment.model_copy(update={"spacing_mm": (i, j, k)})
        changes = {"patch_size": start.patch_size, "batch_size": start.batch_size, "augment": augment}
        return self.model_copy(update=changes)
