"""The drawings of a search: what is better is higher, and what has no number is not drawn."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from medseg.delivery.search import SearchReport, TrialRow, save_search_page
from medseg.delivery.search.charts import curves_chart, history_chart, setting_charts

TRIALS = [("a", "complete", 0.5), ("b", "failed", math.nan), ("c", "pruned", 0.9), ("d", "complete", 0.7)]


def test_best_so_far_rises_with_complete_trials_alone() -> None:
    chart = history_chart(TRIALS)
    assert chart is not None
    a, c, d = chart.dots
    assert [dot.title for dot in chart.dots] == ["a, complete: 0.5000", "c, pruned: 0.9000", "d, complete: 0.7000"]
    assert a.x < c.x < d.x
    assert c.y < d.y < a.y  # heights of a drawing grow downwards
    corners = [tuple(map(float, point.split(","))) for point in chart.best.split()]
    assert corners == [(a.x, a.y), (d.x, a.y), (d.x, d.y), (d.x, d.y)]
    assert chart.plan == a.y


def test_nothing_is_drawn_without_numbers() -> None:
    assert history_chart([("a", "failed", math.nan)]) is None
    assert curves_chart([("a", "failed", {})]) is None
    assert setting_charts([("a", "complete", 0.5, {"batch": 1.0})], ["batch"]) == []


def test_few_values_stand_side_by_side_and_a_range_of_factors_lies_on_a_logarithmic_axis() -> None:
    words = setting_charts([(v, "complete", 0.5, {"kind": v}) for v in ("unet", "dynunet")], ["kind"])
    assert [tick.text for tick in words[0].x_ticks] == ["dynunet", "unet"]
    values = (0.25, 0.5, 1.0, 2.0, 4.0)
    (factors,) = setting_charts([(str(v), "complete", v, {"rate": v}) for v in values], ["rate"])
    gaps = [after.x - before.x for before, after in zip(factors.dots, factors.dots[1:], strict=False)]
    assert gaps == pytest.approx([gaps[0]] * 4, abs=0.2)


def test_page_shows_reasons_and_escapes_text(tmp_path: Path) -> None:
    row = TrialRow("trial_0000", "failed", math.nan, 0, math.nan, 0, {"kind": "<b>"}, "patch <i> too small", {})
    report = SearchReport(
        dataset="boxes", fold="0", rows=(row,), cases=0, answer="trial_0000", verdict="keep the plan", contests=(),
        repeats=(), used_s=7300.0, budget="4h", asked=8, length="10m", is_over=False,
    )  # fmt: skip
    save_search_page(report, tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "patch &lt;i&gt; too small" in page
    assert "&lt;b&gt;" in page
    assert "1 of 8 trials: 1 failed" in page
    assert "2.0 h used of 4h; the search goes on" in page
