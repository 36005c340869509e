"""A metric of the user's own."""

from __future__ import annotations

from typing import Protocol

from medseg.geometry import Triple
from medseg.records import Mask


class Metric(Protocol):
    """A function that compares one structure of a case, such as `hausdorff_95_mm`."""

    def __call__(self, label: Mask, mask: Mask, /, *, spacing_mm: Triple) -> float:
        """Value of the metric for one structure.

        Args:
            label: Reference, bool, shape `(I, J, K)`, on the scan's own grid.
            mask: Prediction on the same grid.
            spacing_mm: Voxel size along `(i, j, k)`.

        Returns:
            Value of the metric; NaN if it does not exist, which leaves the case out of the mean.
        """
