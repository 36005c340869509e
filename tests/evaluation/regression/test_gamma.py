from __future__ import annotations

from math import isnan, sqrt
from typing import Any

import numpy as np
import pytest
from medseg.evaluation.regression import gamma_pass_rate

from tests.evaluation.regression.made_doses import beam, positions_mm

FLAT = np.full((6, 6, 6), 60, np.float32)
MM = (1.0, 1.0, 1.0)


def test_equal_doses_pass_everywhere() -> None:
    dose, _ = beam((12, 10, 8), (2, 2, 2))
    assert gamma_pass_rate(dose, dose, spacing_mm=(2, 2, 2)) == 1


@pytest.mark.parametrize(("offset", "expected"), [(1.79, 1), (1.8, 1), (-1.8, 1), (1.81, 0), (-1.81, 0)])
def test_even_dose_passes_up_to_three_percent(offset: float, expected: float) -> None:
    assert gamma_pass_rate(FLAT, FLAT + np.float32(offset), spacing_mm=MM) == expected


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing", [1.0, 2.3, 5.0])
@pytest.mark.parametrize(("gamma", "expected"), [(0.97, 1), (1.03, 0)])
def test_shifted_ramp_passes_as_its_formula_says(axis: int, spacing: float, gamma: float, expected: float) -> None:
    """For a slope of g per mm and an offset d, the least gamma is |d| / sqrt(D² + (g 3 mm)²)."""
    shape, spacing_mm = [6, 6, 6], [1.5, 1.5, 1.5]
    shape[axis], spacing_mm[axis] = 40, spacing
    reference = np.take(positions_mm(shape, spacing_mm), axis, axis=0) * 2.0 / spacing + 20  # 2 Gy from voxel to voxel
    allowed = 0.03 * reference.max()
    offset = gamma * sqrt(allowed**2 + (2.0 / spacing * 3) ** 2)
    where = np.zeros(shape, bool)
    where[tuple(slice(size // 3, -(size // 3)) for size in shape)] = True
    rate = gamma_pass_rate(reference, reference + offset, spacing_mm=tuple(spacing_mm), where=where)  # type: ignore[arg-type]
    assert rate == expected


def test_dose_between_voxels_is_found() -> None:
    """Voxels are 5 mm apart, so that none but the voxel itself lies within 3 mm; 2 Gy per mm, shifted by 2.5 mm."""
    ramp = np.arange(0, 200, 10, dtype=np.float32).reshape(20, 1, 1)
    inner = np.zeros(ramp.shape, bool)
    inner[3:-3] = True
    for distance_mm, expected in ((3.0, 1), (2.0, 0)):
        rate = gamma_pass_rate(
            ramp, ramp - 5, spacing_mm=(5, 1, 1), dose_percent=0.5, distance_mm=distance_mm, where=inner
        )
        assert rate == expected


def test_low_doses_are_left_out() -> None:
    reference = np.array([1, 5.9, 6, 60], np.float32).reshape(4, 1, 1)
    predicted = np.array([30, 30, 30, 60], np.float32).reshape(4, 1, 1)
    far = (10.0, 10.0, 10.0)
    assert gamma_pass_rate(reference, predicted, spacing_mm=far) == 0.5
    assert gamma_pass_rate(reference, predicted, spacing_mm=far, low_dose_percent=0) == 0.25


def test_local_normalisation_allows_less_at_low_doses() -> None:
    reference = np.array([60, 20], np.float32).reshape(2, 1, 1)
    predicted = reference + 1
    far = (10.0, 10.0, 10.0)
    assert gamma_pass_rate(reference, predicted, spacing_mm=far) == 1
    assert gamma_pass_rate(reference, predicted, spacing_mm=far, normalisation="local") == 0.5


def test_unknown_voxels_and_other_structures_are_left_out() -> None:
    predicted = FLAT.copy()
    predicted[:3] = 0
    reference = FLAT.copy()
    reference[:2] = np.nan
    assert gamma_pass_rate(reference, predicted, spacing_mm=(5, 5, 5)) == 0.75
    upper = np.zeros(FLAT.shape, bool)
    upper[3:] = True
    assert gamma_pass_rate(reference, predicted, spacing_mm=(5, 5, 5), where=upper) == 1


def test_nothing_to_count_has_no_rate() -> None:
    nothing = np.zeros(FLAT.shape, bool)
    assert isnan(gamma_pass_rate(FLAT, FLAT, spacing_mm=MM, where=nothing))
    assert isnan(gamma_pass_rate(FLAT * 0, FLAT, spacing_mm=MM))
    assert isnan(gamma_pass_rate(FLAT * np.nan, FLAT, spacing_mm=MM))


# pymedphys 0.41.0, gamma(axes, reference, axes, predicted, dose, mm, lower_percent_dose_cutoff=low,
# local_gamma=..., interp_fraction=30, interp_algo="scipy"): voxels with gamma of at most 1, and voxels with a gamma
BY_PYMEDPHYS: list[Any] = [
    ((40, 36, 1), (1.5, 1.5, 3.0), (3, 3, 10), "global", 877, 920),
    ((40, 36, 1), (1.5, 1.5, 3.0), (2, 2, 10), "global", 709, 920),
    ((40, 36, 1), (1.5, 1.5, 3.0), (3, 1, 20), "global", 309, 704),
    ((40, 36, 1), (1.5, 1.5, 3.0), (3, 3, 10), "local", 873, 920),
    ((40, 36, 1), (1.5, 1.5, 3.0), (3, 1, 20), "local", 299, 704),
    ((24, 20, 16), (2.0, 2.0, 2.0), (3, 3, 10), "global", 2871, 2896),
    ((24, 20, 16), (2.0, 2.0, 2.0), (2, 2, 10), "global", 2828, 2896),
]


@pytest.mark.parametrize(("shape", "spacing_mm", "limits", "normalisation", "passing", "counted"), BY_PYMEDPHYS)
def test_rate_is_that_of_pymedphys(
    shape: Any, spacing_mm: Any, limits: Any, normalisation: Any, passing: int, counted: int
) -> None:
    reference, predicted = beam(shape, spacing_mm)
    rate = gamma_pass_rate(
        reference,
        predicted,
        spacing_mm=spacing_mm,
        dose_percent=limits[0],
        distance_mm=limits[1],
        low_dose_percent=limits[2],
        normalisation=normalisation,
    )
    assert rate * counted == pytest.approx(passing, abs=0.004 * counted)
