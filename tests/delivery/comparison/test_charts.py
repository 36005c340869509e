"""The drawing of the cost: places, and names that do not cover each other."""

from __future__ import annotations

from itertools import pairwise

import pytest
from medseg.delivery.comparison.charts import COST_WIDE, SIDE, cost_chart


def test_cheaper_is_further_left_and_better_is_higher() -> None:
    chart = cost_chart([("slow and good", 8.0, 0.9), ("fast and bad", 1.0, 0.8)], "dice")
    good, bad = chart.points
    assert (good.name, bad.name) == ("slow and good", "fast and bad")
    assert bad.x < good.x
    assert bad.y > good.y  # heights of a drawing grow downwards
    assert good.title == "slow and good: 0.9000 at 8.0 s per case"


def test_names_stay_inside_and_keep_a_line_of_distance() -> None:
    chart = cost_chart([(f"m{n}", 1.0 + n, 0.9) for n in range(4)], "dice")
    assert [point.anchor for point in chart.points] == ["start", "start", "end", "end"]
    heights = [point.name_y for point in chart.points]
    assert all(later - earlier >= 14 for earlier, later in pairwise(heights))
    assert all(0 < point.x < COST_WIDE and 0 < point.y < SIDE for point in chart.points)


def places(*seconds: float) -> list[float]:
    """Share of the way from the fastest to the slowest."""
    at = [point.x for point in cost_chart([(str(s), s, 1.0 / s) for s in seconds], "dice").points]
    return [(x - at[0]) / (at[-1] - at[0]) for x in at]


def test_costs_far_apart_are_drawn_by_their_ratio() -> None:
    assert places(1.0, 5.5, 10.0) == pytest.approx([0, 0.5, 1], abs=0.01)
    assert places(1.0, 10.0, 100.0) == pytest.approx([0, 0.5, 1], abs=0.01)
