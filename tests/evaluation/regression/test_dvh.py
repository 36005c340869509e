from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from medseg.evaluation.regression import QuantityContract, dose_points, dvh, is_dose
from medseg.evaluation.regression.dose_points import compared_dose
from medseg.quantity import Quantity

EVERYWHERE = np.ones((101, 1, 1), bool)
RAMP = np.arange(101, dtype=np.float32).reshape(101, 1, 1)[::-1]  # 0 to 100, one voxel each


def test_points_of_a_ramp() -> None:
    histogram = dvh(RAMP, EVERYWHERE)
    assert (histogram.mean, histogram.maximum) == (50, 100)
    points = [histogram.dose_at_volume(percent) for percent in (2, 50, 95, 98, 100, 0)]
    assert points == pytest.approx([98, 50, 5, 2, 0, 100])
    assert histogram.volume_at_dose(0) == 100
    assert histogram.volume_at_dose(50) == pytest.approx(100 * 51 / 101)  # a voxel of 50 gets 50
    assert histogram.volume_at_dose(100.1) == 0


def test_doses_at_volumes_are_percentiles() -> None:
    dose = np.random.default_rng(3).gamma(2, 10, (7, 8, 9)).astype(np.float32)
    histogram = dvh(dose, np.ones(dose.shape, bool))
    for percent in (0.5, 2, 33, 95, 98):
        assert histogram.dose_at_volume(percent) == pytest.approx(np.percentile(dose, 100 - percent), rel=1e-6)


def test_even_dose_is_every_point() -> None:
    histogram = dvh(np.full((4, 4, 4), 60, np.float32), np.ones((4, 4, 4), bool))
    assert {histogram.mean, histogram.maximum, *map(histogram.dose_at_volume, (2, 50, 95, 98))} == {60}
    assert histogram.curve(np.array([0, 59.9, 60, 60.1])).tolist() == [100, 100, 100, 0]


def test_only_known_voxels_of_the_structure_count() -> None:
    dose, where = RAMP.copy(), EVERYWHERE.copy()
    dose[0] = np.nan  # the voxel of 100
    where[-1] = False  # the voxel of 0
    histogram = dvh(dose, where)
    assert histogram.doses.tolist() == list(range(1, 100))


def test_empty_structure_has_no_point() -> None:
    histogram = dvh(RAMP, ~EVERYWHERE)
    values = [histogram.mean, histogram.maximum, histogram.dose_at_volume(95), histogram.volume_at_dose(20)]
    assert all(map(isnan, values))


def test_volumes_are_measured_at_shares_of_the_prescription_and_at_doses() -> None:
    contract = QuantityContract(volume_at_doses=(20.0,))
    points = dose_points(dvh(RAMP, EVERYWHERE), contract=contract, prescription=60)
    assert points["v20"] == pytest.approx(100 * 81 / 101)
    assert points["v95_percent"] == pytest.approx(100 * 44 / 101)  # 57 Gy and more
    without = dose_points(dvh(RAMP, EVERYWHERE), contract=contract, prescription=None)
    assert set(points) - set(without) == {"v50_percent", "v95_percent", "v107_percent"}


def test_errors_of_points_have_no_sign() -> None:
    contract = QuantityContract()
    histograms = [dvh(dose, EVERYWHERE) for dose in (RAMP, RAMP - 4)]
    found = compared_dose(*histograms, contract=contract, prescription=None)
    assert found.points["d95"] == pytest.approx((5, 1))
    assert set(found.errors) == {f"{name}_error" for name in ("dmean", "dmax", "d2", "d50", "d95", "d98")}
    assert list(found.errors.values()) == pytest.approx([4] * 6)
    assert found.reference[0] == 100
    assert found.reference[-1] == 0


@pytest.mark.parametrize(
    ("unit", "prescription", "expected"),
    [("Gy", None, True), ("cGy", None, True), ("Gy (RBE)", None, True), ("Gy(RBE)", None, True), ("1", 60.0, True),
     ("(", None, False), ("HU", None, False), ("g/ml", None, False), ("1", None, False)],
)  # fmt: skip
def test_doses_are_known_by_unit_or_prescription(unit: str, prescription: float | None, expected: bool) -> None:
    assert is_dose(Quantity(unit=unit, prescription=prescription)) == expected
