"""Costs in words: units, rounding across them, and what is not known."""

from __future__ import annotations

import pytest
from medseg.runs.segmentation.cost_text import cost_rows, large_number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12_345, "12,345"),
        (999_949, "999,949"),
        (999_950, "1.0 million"),
        (5_612_345, "5.6 million"),
        (999_949_999, "999.9 million"),
        (999_960_000, "1.0 billion"),
        (31_200_000_000, "31.2 billion"),
        (2.5e12, "2.5 trillion"),
        (4.2e15, "4,200.0 trillion"),
    ],
)
def test_large_number_has_the_unit_that_it_rounds_to(value: float, text: str) -> None:
    assert large_number(value) == text


def test_only_what_is_known_has_a_row() -> None:
    cost = {"seconds_per_case": 1.25, "parameters": None, "training_minutes": 10, "a later key": 3}
    assert cost_rows(cost) == {"Seconds per case": "1.2", "Training": "10.0 min"}
    assert cost_rows({}) == {}
