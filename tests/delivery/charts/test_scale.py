from __future__ import annotations

import numpy as np
import pytest
from medseg.delivery.charts.scale import Scale, short


@pytest.mark.parametrize("is_log", [False, True])
def test_scale_places_its_ends_and_keeps_order(is_log: bool) -> None:
    scale = Scale(1, 1000, 0, 300, is_log)
    assert (scale.place(1), scale.place(1000)) == (0, 300)
    assert scale.place(10) == (100 if is_log else pytest.approx(2.7))
    assert scale.place(-5) == 0
    ticks = scale.ticks()
    assert 3 <= len(ticks) <= 7
    assert [tick.at for tick in ticks] == sorted(tick.at for tick in ticks)


def test_ticks_are_round_values() -> None:
    assert [tick.text for tick in Scale(0, 97, 0, 100).ticks()] == ["0", "20", "40", "60", "80"]
    assert [tick.text for tick in Scale(0.11, 0.29, 0, 100).ticks()] == ["0.15", "0.2", "0.25"]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1200, "1,200"), (45_000, "45k"), (2_500_000, "2.5M"), (0.25, "0.25")]
)
def test_ticks_are_short(value: float, text: str) -> None:
    assert short(value) == text


def test_places_are_those_of_each_value() -> None:
    scale = Scale(2, 8, 100, 40)
    np.testing.assert_allclose(scale.places(np.array([1.0, 2, 5, 8, 11])), [100, 100, 70, 40, 40])


def test_axis_of_one_value_has_it_in_the_middle() -> None:
    assert Scale(3, 3, 10, 30).place(3) == 20
    np.testing.assert_array_equal(Scale(3, 3, 10, 30).places(np.array([3.0, 3.0])), [20, 20])
