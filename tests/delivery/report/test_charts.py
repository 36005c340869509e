from __future__ import annotations

import math

import pytest
from medseg.delivery.report import Curve, line_chart


def points_of(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in path.split())]


def test_falling_curve_falls_on_the_drawing_and_stays_inside_it() -> None:
    chart = line_chart(Curve("loss", [(10, 2.0), (20, 1.0), (40, 0.5)]))
    assert chart is not None
    left, top, right, bottom = chart.area
    placed = points_of(chart.path)
    assert all(left <= x <= right and top <= y <= bottom for x, y in placed)
    assert [y for _, y in placed] == sorted(y for _, y in placed)  # downwards in SVG
    (x0, _), (x1, _), (x2, _) = placed
    assert x2 - x0 == pytest.approx(3 * (x1 - x0), abs=0.2)
    assert chart.note == "0.5 at the end"


def test_number_that_is_not_finite_leaves_a_gap_and_none_draw_nothing() -> None:
    chart = line_chart(Curve("loss", [(1, 2.0), (2, math.nan), (3, -math.inf), (4, 1.0)]))
    assert chart is not None
    assert len(points_of(chart.path)) == 2
    assert line_chart(Curve("loss", [(1, math.nan)])) is None
    assert line_chart(Curve("loss", [])) is None


def test_wide_range_is_logarithmic_only_where_it_may_be() -> None:
    curve = Curve("loss", [(1, 100.0), (2, 10.0), (3, 1.0)])
    as_log, as_linear = line_chart(curve, may_be_log=True), line_chart(curve)
    assert as_log is not None
    assert as_linear is not None
    assert "logarithmic" in as_log.note
    assert "logarithmic" not in as_linear.note
    (_, a), (_, b), (_, c) = points_of(as_log.path)
    assert b - a == pytest.approx(c - b, abs=0.2)


def test_single_point_is_a_dot() -> None:
    chart = line_chart(Curve("loss", [(5, 0.3)]))
    assert chart is not None
    assert len(chart.dots) == 1


def test_long_curve_is_thinned_and_keeps_its_last_value() -> None:
    chart = line_chart(Curve("loss", [(step, 1 / (1 + step)) for step in range(5000)]))
    assert chart is not None
    assert len(points_of(chart.path)) <= 600
    assert chart.note.startswith("0.0002 ")
