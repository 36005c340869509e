"""What more labelled cases are expected to bring, against powers whose course is known."""

from __future__ import annotations

import pytest
from medseg.training.forecast_cases import gain_of_more_cases

SIZES = (10, 20, 40)


@pytest.mark.parametrize("exponent", [0.1, 0.3, 0.6])
def test_gain_of_a_power_is_held(exponent: float) -> None:
    def error(cases: float) -> float:
        return 0.2 * (cases / 40) ** -exponent

    gain = gain_of_more_cases(SIZES, [1 - error(size) for size in SIZES])
    assert gain is not None
    assert gain.low <= error(40) - error(80) <= gain.high


def test_score_that_does_not_rise_with_cases_promises_little() -> None:
    gain = gain_of_more_cases(SIZES, [0.9, 0.9, 0.9])
    assert gain is not None
    assert abs(gain.middle) < 0.003
    assert gain.high < 0.01


def test_uncertain_scores_widen_the_interval() -> None:
    scores = [0.7, 0.78, 0.84]
    sure, unsure = gain_of_more_cases(SIZES, scores), gain_of_more_cases(SIZES, scores, deviations=[0.1, 0.1, 0.0])
    assert sure is not None
    assert unsure is not None
    assert unsure.high - unsure.low > sure.high - sure.low


@pytest.mark.parametrize("scores", [[0.9], [0.8, 1.0], [0.8, float("nan")]])
def test_what_has_no_course_promises_nothing(scores: list[float]) -> None:
    assert gain_of_more_cases(SIZES[: len(scores)], scores) is None
