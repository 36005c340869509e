"""The confidence of a network in its own mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medseg.targets import VoxelTarget

if TYPE_CHECKING:
    from torch import Tensor


class ConfidenceMeter:
    """Sees a mask's probabilities pass by, and gives each structure's soft Dice: the Dice that they promise.

    With a mask m and probabilities p it is 2 Σ pm / (Σ p + Σ m), nearly the expected Dice if voxels are independent.

    Args:
        target: Meaning of the probabilities.

    Source: Borges et al. 2024, Soft Dice Confidence, https://arxiv.org/abs/2402.10665.
    """

    def __init__(self, target: VoxelTarget) -> None:
        self._target = target
        self._sums: Tensor | None = None

    def observe(self, values: Tensor) -> None:
        """Add probabilities `(channels, I, J, K)` of voxels that were not seen yet; they are not changed."""
        if self._target.structures:
            sums = self._target.soft_sums(values)
            self._sums = sums if self._sums is None else self._sums + sums

    @property
    def is_finite(self) -> bool:
        """Whether all probabilities so far are numbers."""
        return self._sums is None or bool(self._sums.isfinite().all())

    def soft_dice(self) -> dict[str, float]:
        """Soft Dice of each structure that is the decision of some voxel, by name."""
        if self._sums is None:
            return {}
        inside, total, count = self._sums.tolist()
        return {
            name: 2 * inside[index] / (total[index] + count[index])
            for index, name in enumerate(self._target.structures)
            if count[index] > 0
        }
