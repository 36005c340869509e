"""How far the masks of several models agree."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from torch import Tensor

from medseg.targets import VoxelTarget
from medseg.targets.structure_values import structure_values
from medseg.targets.value_counts import overlap_counts


class Agreement:
    """Counts, part by part of a volume, the voxels on which models agree.

    Args:
        target: Meaning of the values.
        members: Number of models.
    """

    def __init__(self, target: VoxelTarget, members: int) -> None:
        self._target = target
        self._values = structure_values(target)
        self._sizes = np.zeros((members, len(self._values)))
        self._pairs = list(combinations(range(members), 2))
        self._shared = np.zeros((len(self._pairs), len(self._values)))

    def add(self, values: Sequence[Tensor]) -> None:
        """Count a part of the volume, given the probabilities `(channels, I, J, K)` of each model."""
        drawn = [self._target.decide(part) for part in values]
        voxels = [self._target.voxels(array) for array in drawn]
        self._sizes += [[counts[name] for name in self._values] for counts in voxels]
        for number, (a, b) in enumerate(self._pairs):
            found = overlap_counts(drawn[a], drawn[b], self._values)
            self._shared[number] += [both for _, _, both in found.values()]

    def disagreement(self) -> dict[str, float]:
        """For each structure 1 minus the mean Dice of all pairs of models; NaN where no model found it.

        A pair of which one model found nothing has a Dice of 0; pairs of which neither did are left out.
        """
        found = {}
        for column, structure in enumerate(self._values):
            sums = np.array([self._sizes[a, column] + self._sizes[b, column] for a, b in self._pairs])
            shared = self._shared[:, column]
            has_any = sums > 0
            found[structure] = float(1 - (2 * shared[has_any] / sums[has_any]).mean()) if has_any.any() else np.nan
        return found
