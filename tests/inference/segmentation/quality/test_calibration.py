"""From soft Dice to the Dice to expect."""

from __future__ import annotations

import numpy as np
import pytest
from medseg.inference.segmentation.quality.calibration import LEAST_DICE, ConfidenceCalibration


def fitted(soft: list[float], dice: list[float]) -> ConfidenceCalibration:
    calibration = ConfidenceCalibration.fit(soft, dice, structures=1)
    assert calibration is not None
    return calibration


def test_four_cases_are_too_few() -> None:
    assert ConfidenceCalibration.fit([0.9] * 4, [0.8] * 4, structures=1) is None


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.5])
def test_power_is_found(exponent: float) -> None:
    soft = list(np.linspace(0.7, 0.98, 9))
    calibration = fitted(soft, [value**exponent for value in soft])
    assert calibration.exponent == pytest.approx(exponent, rel=1e-3)
    assert calibration.error == pytest.approx(0, abs=1e-3)
    assert calibration.expected_dice(0.8) == pytest.approx(0.8**exponent, abs=1e-3)


def test_expected_dice_is_right_on_average() -> None:
    rng = np.random.default_rng(0)
    soft = list(rng.uniform(0.8, 0.99, 40))
    dice = [float(np.clip(value**3 + rng.normal(0, 0.03), 0, 1)) for value in soft]
    calibration = fitted(soft, dice)
    assert np.mean([calibration.expected_dice(value) for value in soft]) == pytest.approx(np.mean(dice), abs=1e-3)


def test_nothing_and_certainty_stay_what_they_are() -> None:
    calibration = fitted([0.9, 0.92, 0.95, 0.9, 0.93], [0.7, 0.75, 0.8, 0.7, 0.75])
    assert calibration.expected_dice(0.0) == 0
    assert calibration.expected_dice(1.0) == 1


def test_masks_of_the_validation_are_within_the_limit() -> None:
    soft = [0.9, 0.92, 0.95, 0.9, 0.93, 0.91]
    calibration = fitted(soft, soft)
    assert LEAST_DICE <= calibration.limit < min(calibration.expected_dice(value) for value in soft)


def test_a_failed_validation_mask_does_not_move_the_limit() -> None:
    soft = [0.90, 0.92, 0.95, 0.90, 0.93, 0.91] * 5
    good, with_failure = fitted(soft, soft), fitted([*soft, 0.4], [*soft, 0.05])
    assert with_failure.limit == pytest.approx(good.limit, abs=0.05)


def test_a_model_that_is_always_half_wrong_does_not_make_that_usual() -> None:
    calibration = fitted([0.4, 0.5, 0.6, 0.3, 0.5], [0.3, 0.4, 0.5, 0.2, 0.4])
    assert calibration.limit == LEAST_DICE


def test_perfect_masks_of_an_unsure_network_leave_room_below_them() -> None:
    calibration = fitted([0.90, 0.92, 0.94, 0.91, 0.93], [1.0] * 5)
    assert calibration.expected_dice(0.9) == pytest.approx(1, abs=0.01)
    assert calibration.limit <= calibration.p5 - 0.05 + 1e-9
