from __future__ import annotations

from math import inf, isnan, log10

import numpy as np
import pytest
from medseg.errors import GeometryError
from medseg.evaluation.regression import quantity_metrics
from medseg.evaluation.regression.slabs import slabs

MM = (1.0, 1.0, 1.0)
RAMP = np.arange(12 * 13 * 14, dtype=np.float32).reshape(12, 13, 14)
RANGE = RAMP.size - 1.0


def test_constant_offset_is_the_error_and_the_bias() -> None:
    values = quantity_metrics(RAMP, RAMP + 2, spacing_mm=MM)
    assert (values["mae"], values["rmse"], values["bias"]) == (2, 2, 2)
    assert values["psnr_db"] == pytest.approx(10 * log10(RANGE**2 / 4))


def test_errors_of_both_signs_have_no_bias() -> None:
    signs = np.where(np.indices(RAMP.shape).sum(axis=0) % 2, 3, -3)
    values = quantity_metrics(RAMP, RAMP + signs, spacing_mm=MM)
    assert values["bias"] == 0
    assert (values["mae"], values["rmse"]) == (3, 3)


def test_one_wrong_voxel_weighs_more_in_the_squared_error() -> None:
    wrong = RAMP.copy()
    wrong[6, 6, 6] -= 100
    values = quantity_metrics(RAMP, wrong, spacing_mm=MM)
    assert values["mae"] == pytest.approx(100 / RAMP.size)
    assert values["rmse"] == pytest.approx(100 / RAMP.size**0.5)
    assert values["bias"] == pytest.approx(-100 / RAMP.size)


def test_equal_volumes_have_no_error_and_full_similarity() -> None:
    values = quantity_metrics(RAMP, RAMP.copy(), spacing_mm=MM)
    assert values == {"mae": 0, "rmse": 0, "bias": 0, "psnr_db": inf, "ssim": pytest.approx(1)}


def test_unknown_voxels_count_in_no_number() -> None:
    reference, predicted = RAMP.copy(), RAMP + 2
    reference[3:6, 4:9] = np.nan
    predicted[3:6, 4:9] = 1e6
    values = quantity_metrics(reference, predicted, spacing_mm=MM)
    assert (values["mae"], values["rmse"], values["bias"]) == (2, 2, 2)
    predicted[3:6, 4:9] = -40
    assert quantity_metrics(reference, predicted, spacing_mm=MM) == values


def test_missing_prediction_is_not_left_out() -> None:
    predicted = RAMP.copy()
    predicted[6, 6, 6] = np.nan
    assert isnan(quantity_metrics(RAMP, predicted, spacing_mm=MM)["mae"])


def test_error_in_percent_of_the_prescription() -> None:
    assert quantity_metrics(RAMP, RAMP + 3, spacing_mm=MM, prescription=60)["mae_percent"] == pytest.approx(5)


def test_structure_has_numbers_of_its_own_and_the_range_of_the_case() -> None:
    where = np.zeros(RAMP.shape, bool)
    where[6, 6, 5:9] = True
    predicted = RAMP + where * 7
    values = quantity_metrics(RAMP, predicted, spacing_mm=MM, where=where)
    assert (values["mae"], values["bias"]) == (7, 7)
    assert values["psnr_db"] == pytest.approx(10 * log10(RANGE**2 / 49))


def test_range_of_the_quantity_replaces_that_of_the_case() -> None:
    values = quantity_metrics(RAMP, RAMP + 2, spacing_mm=MM, value_range=(-10, 30))
    assert values["psnr_db"] == pytest.approx(10 * log10(1600 / 4))


def test_empty_structure_has_no_number() -> None:
    values = quantity_metrics(RAMP, RAMP, spacing_mm=MM, where=np.zeros(RAMP.shape, bool), prescription=1)
    assert all(map(isnan, values.values()))


def test_volume_of_one_value_has_an_error_but_no_range() -> None:
    flat = np.full((12, 12, 12), 5, np.float32)
    values = quantity_metrics(flat, flat + 1, spacing_mm=MM)
    assert values["mae"] == 1
    assert isnan(values["psnr_db"])
    assert isnan(values["ssim"])
    assert quantity_metrics(flat, flat + 1, spacing_mm=MM, value_range=(0, 10))["psnr_db"] == pytest.approx(20)


def test_one_slice_is_measured_in_its_plane() -> None:
    image = RAMP[:, :, 3:4]
    values = quantity_metrics(image, image + 1, spacing_mm=MM)
    assert values["mae"] == 1
    assert 0 < values["ssim"] < 1


def test_small_errors_of_large_values_keep_their_digits() -> None:
    high = np.full((40, 40, 40), 30000, np.float32)
    high[0, 0, 0] = 0
    assert quantity_metrics(high, high + np.float32(0.25), spacing_mm=MM)["mae"] == 0.25


def test_order_of_the_axes_in_memory_changes_nothing() -> None:
    predicted = RAMP[::-1].copy()
    other = quantity_metrics(np.asfortranarray(RAMP), np.asfortranarray(predicted), spacing_mm=MM)
    assert other == pytest.approx(quantity_metrics(RAMP, predicted, spacing_mm=MM), rel=1e-12)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("voxels", [1, 100, 500, 10**6])
def test_slabs_hold_every_voxel_once(order: str, voxels: int) -> None:
    counted = np.zeros(RAMP.shape, int, order=order)  # type: ignore[call-overload]
    for part in slabs(counted, voxels=voxels):
        counted[part] += 1
    assert (counted == 1).all()


def test_other_shape_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"predicted values: must have the reference's shape \(12, 13, 14\)"):
        quantity_metrics(RAMP, RAMP[:-1], spacing_mm=MM)
    with pytest.raises(GeometryError, match="part: must have the reference's shape"):
        quantity_metrics(RAMP, RAMP, spacing_mm=MM, where=np.ones((2, 2, 2), bool))
