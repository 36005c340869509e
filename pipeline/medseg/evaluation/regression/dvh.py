"""Dose–volume histograms: how much of a structure gets how much dose."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np

from medseg.evaluation.regression.same_grid import check_same_shape
from medseg.records import Array, Mask


@dataclass(frozen=True, slots=True, eq=False)
class DoseVolumeHistogram:
    """The dose of a structure's voxels, which are all of one volume.

    Attributes:
        doses: Dose of each voxel in rising order, float32, shape `(N,)`; empty for a structure that is not there.
    """

    doses: Array

    @property
    def mean(self) -> float:
        """Mean dose; NaN without a voxel."""
        return float(self.doses.mean(dtype=np.float64)) if self.doses.size else nan

    @property
    def maximum(self) -> float:
        """Dose of the hottest voxel; NaN without a voxel."""
        return float(self.doses[-1]) if self.doses.size else nan

    def dose_at_volume(self, percent: float) -> float:
        """Dose that the hottest part of the structure gets at least, such as D95 for 95 %; NaN without a voxel.

        Args:
            percent: Size of that part in percent of the structure's volume; between voxels it is interpolated linearly.
        """
        if not self.doses.size:
            return nan
        place = (self.doses.size - 1) * (1 - percent / 100)
        below = min(int(place), self.doses.size - 1)
        low, high = (float(self.doses[index]) for index in (below, min(below + 1, self.doses.size - 1)))
        return low + (place - below) * (high - low)

    def volume_at_dose(self, dose: float) -> float:
        """Volume that gets a dose or more, such as V20 for 20 Gy, in percent of the structure; NaN without a voxel."""
        return float(self.curve(np.array([dose]))[0])

    def curve(self, doses: Array) -> Array:
        """The cumulative histogram: `volume_at_dose` of each dose, float64, shape `(M,)`."""
        if not self.doses.size:
            return np.full(len(doses), nan)
        below = np.searchsorted(self.doses, np.asarray(doses, self.doses.dtype), side="left")
        return np.asarray(100 * (1 - below / self.doses.size))


def dvh(dose: Array, where: Mask) -> DoseVolumeHistogram:
    """Sort the dose of a structure's voxels.

    Args:
        dose: Dose of shape `(I, J, K)`; voxels that are NaN are left out.
        where: Voxels of the structure, bool, on the same grid.

    Raises:
        GeometryError: If the shapes differ.

    Source: ICRU Report 83 (2010), section 3.4, for D2, D50, D95, D98 and the mean; `dose_at_volume` interpolates as
        OpenKBP does (Babier et al. 2021, https://doi.org/10.1002/mp.14845).
    """
    check_same_shape(dose, dose, where)
    values = dose[where].astype(np.float32, copy=False)
    values = values[~np.isnan(values)]
    values.sort()
    return DoseVolumeHistogram(values)
