"""A metric of the user's own."""

from __future__ import annotations

from typing import Protocol

from medseg.geometry import Triple
from medseg.records import Mask


class Metric(Protocol):
    """Compares one structure of a case; `hausdorff_95_mm` is one."""

    def __call__(self, label: Mask, mask: Mask, /, *, spacing_mm: Triple) -> float:
        """Measure a mask.

        Args:
            label: Reference, bool, shape `(I, J, K)`, on the scan's own grid.
            mask: Prediction on the same grid.
            spacing_mm: Voxel size along `(i, j, k)`.

        Returns:
            The value; NaN where there is none, which leaves the case out of the mean.
        """
