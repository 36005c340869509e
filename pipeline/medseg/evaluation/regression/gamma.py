"""The gamma pass rate of a predicted dose: agreement in dose or within a distance."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np

from medseg.evaluation.regression.same_grid import check_same_shape
from medseg.evaluation.regression.slabs import slabs
from medseg.geometry import Triple
from medseg.records import Array, Mask

Normalisation = Literal["global", "local"]
_STEPS = 10  # of the search, within the distance that is allowed


def gamma_pass_rate(
    reference: Array,
    predicted: Array,
    *,
    spacing_mm: Triple,
    dose_percent: float = 3,
    distance_mm: float = 3,
    low_dose_percent: float = 10,
    normalisation: Normalisation = "global",
    where: Mask | None = None,
) -> float:
    """Share of the reference's voxels near which the predicted dose agrees: those with gamma of at most 1.

    Gamma of a voxel is the least value of sqrt(distance² / `distance_mm`² + difference² / allowed²) over all points
    near it. Between voxels the predicted dose is interpolated linearly, at steps of a tenth of the distance along every
    axis and at the voxels themselves; where the voxel's dose lies between those of two points, it is met between them.
    The search finds no better point than there is, so the rate is never too high. Points beyond the grid are left out.

    Args:
        reference: Dose of shape `(I, J, K)`; voxels that are NaN are left out.
        predicted: Dose on the same grid.
        spacing_mm: Voxel size along `(i, j, k)`.
        dose_percent: Allowed difference in percent of the largest reference dose, or of the voxel's own.
        distance_mm: Allowed distance.
        low_dose_percent: Reference dose below which voxels are left out, in percent of the largest.
        normalisation: `global` for differences relative to the largest reference dose, `local` to the voxel's own.
        where: Voxels that count, bool, such as a structure; all if not given.

    Returns:
        Value in [0, 1]; NaN if no voxel counts.

    Raises:
        GeometryError: If the shapes differ.

    Source: Low et al. 1998, https://doi.org/10.1118/1.598248, eqs. 4 to 7; the interpolated search of Wendling et al.
        2007, https://doi.org/10.1118/1.2721657; limits as AAPM TG-218 names them,
        https://doi.org/10.1002/mp.12810.
    """
    from medseg.evaluation.regression.gamma_kernel import count_passing

    check_same_shape(reference, predicted, where)
    highest = max((float(np.nanmax(part)) for part in _known_parts(reference)), default=math.nan)
    if not highest > 0:
        return math.nan
    limit = highest * low_dose_percent / 100
    counted = np.zeros(reference.shape, bool)
    for part in slabs(reference):
        counted[part] = reference[part] >= limit
    if where is not None:
        counted &= where
    voxels = int(np.count_nonzero(counted))
    if not voxels:
        return math.nan
    shares = tuple(size == 1 for size in reference.shape)
    distances, corners, weights = _search(tuple(float(mm) for mm in spacing_mm), float(distance_mm), shares)
    allowed = dose_percent / 100 * (highest if normalisation == "global" else -1.0)
    one, other = (np.asarray(volume, np.float32) for volume in (reference, predicted))
    return int(count_passing(one, other, counted, distances, corners, weights, allowed)) / voxels


def _known_parts(values: Array) -> list[Array]:
    return [values[part] for part in slabs(values) if not np.isnan(values[part]).all()]


@lru_cache(maxsize=16)
def _search(spacing_mm: tuple[float, ...], distance_mm: float, flat: tuple[bool, ...]) -> tuple[Array, Array, Array]:
    """Points round a voxel by rising distance: the squared distance in units of the allowed one, corner, and weights.

    Args:
        spacing_mm: Voxel size along each axis.
        distance_mm: Allowed distance.
        flat: Whether the volume has one voxel along each axis, which then is not searched.

    Returns:
        float64 `(N,)`; int64 `(N, 3)`, the voxel before each point; float64 `(N, 3)`, how far beyond it the point lies.
    """
    spacing = np.array(spacing_mm)
    steps = np.arange(-_STEPS, _STEPS + 1) * distance_mm / _STEPS
    reach = (distance_mm / spacing).astype(int)
    between = [[0.0] if is_flat else steps / mm for is_flat, mm in zip(flat, spacing, strict=True)]
    at_voxels = [[0] if is_flat else range(-most, most + 1) for is_flat, most in zip(flat, reach, strict=True)]
    grids = [np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3) for axes in (between, at_voxels)]
    points = np.unique(np.round(np.concatenate(grids), 9), axis=0)
    squared = ((points * spacing) ** 2).sum(axis=1) / distance_mm**2 if distance_mm else np.zeros(len(points))
    points, squared = points[squared <= 1 + 1e-9], squared[squared <= 1 + 1e-9]
    order = np.argsort(squared, kind="stable")
    corners = np.floor(points[order]).astype(np.int64)
    return squared[order], corners, points[order] - corners
