"""The usual range of a number."""

from __future__ import annotations

import numpy as np
import pytest
from medseg.inference.segmentation.quality.spread import FALSE_ALARMS, Spread
from scipy import stats


def spread_of(values: list[float], *, margin: float = 0.0, numbers: int = 1) -> Spread:
    spread = Spread.of(values, scale="linear", margin=margin, numbers=numbers)
    assert spread is not None
    return spread


def test_fewer_than_three_cases_say_nothing() -> None:
    assert Spread.of([1.0, 2.0], scale="log", margin=0.25) is None


def test_limits_are_those_of_student_s_prediction_interval() -> None:
    values = [9.0, 10.0, 10.0, 11.0, 10.0]
    low, high = stats.t.interval(1 - FALSE_ALARMS, 4, loc=10, scale=np.std(values, ddof=1) * np.sqrt(1 + 1 / 5))
    assert spread_of(values).limits == pytest.approx((low, high), rel=1e-3)


def test_one_in_a_hundred_of_many_more_cases_is_outside() -> None:
    rng = np.random.default_rng(0)
    outside = [not spread_of(list(rng.normal(size=20))).has(value) for value in rng.normal(size=4000)]
    assert np.mean(outside) == pytest.approx(FALSE_ALARMS, abs=0.006)


def test_log_normal_sizes_have_limits_at_the_same_factor_on_both_sides() -> None:
    values = list(np.exp([0.0, 0.1, -0.1, 0.2, -0.2, 0.05, -0.05]))
    spread = Spread.of(values, scale="log", margin=0.25)
    assert spread is not None
    assert spread.limits[0] > 0
    assert spread.limits[1] == pytest.approx(1 / spread.limits[0], rel=1e-3)


def test_equal_values_have_the_margin_which_is_wider_for_few_cases() -> None:
    many, few = (Spread.of([2.0] * count, scale="log", margin=0.25) for count in (400, 4))
    assert many is not None
    assert few is not None
    assert many.limits == pytest.approx((2 / 1.25**1.01, 2 * 1.25**1.01), rel=1e-3)
    assert few.limits == pytest.approx((2 / 1.25**2, 2 * 1.25**2), rel=1e-3)


def test_what_was_seen_is_never_flagged() -> None:
    values = [1.0] * 50 + [9.0]
    spread = spread_of(values)
    assert all(spread.has(value) and spread.severity(value) <= 1 for value in values)


def test_more_numbers_make_each_wider() -> None:
    values = list(np.random.default_rng(0).normal(size=30))
    one, hundred = spread_of(values), spread_of(values, numbers=100)
    assert hundred.limits[0] < one.limits[0] < one.limits[1] < hundred.limits[1]


def test_severity_passes_one_at_the_limits() -> None:
    spread = spread_of([1.0, 2.0, 3.0], margin=1.0)
    low, high = spread.limits
    assert spread.severity(spread.median) == 0
    assert spread.severity(high) == pytest.approx(1)
    assert spread.severity(high + 0.1) > 1
    assert spread.severity(low - 0.1) > 1
    assert spread.severity(low + 0.1) < 1
