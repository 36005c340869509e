from __future__ import annotations

from medseg.delivery.audit.charts import dots, histogram, ranges


def test_histogram_counts_each_value_once() -> None:
    values = [1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 9.0]
    chart = histogram("a", "mm", values)
    assert [int(bar.title.split()[0]) for bar in chart.bars] == [2, 1, 3, 1]
    assert max(bar.height for bar in chart.bars) == 80
    assert chart.most == 3
    assert all(bar.x >= 0 and bar.x + bar.width <= 320 for bar in chart.bars)


def test_histogram_of_one_value_says_it() -> None:
    assert histogram("a", "mm", [1.5, 1.5, 1.5]).only == "1.5 mm in all cases"


def test_histogram_over_decades_is_logarithmic() -> None:
    chart = histogram("a", "mm", [0.1, 0.11, 100.0, 110.0])
    assert sum(int(bar.title.split()[0]) for bar in chart.bars) == 4
    assert [tick.text for tick in chart.ticks] == ["1", "10", "100"] or "10" in [tick.text for tick in chart.ticks]


def test_ranges_are_drawn_in_the_order_of_their_medians() -> None:
    rows = [("b", (0, 10, 20, 30, 40)), ("a", (0, 1, 2, 3, 4))]
    chart = ranges("MR", "as stored", rows, {"b"}, total=2)
    assert [line.title.split(":")[0] for line in chart.lines] == ["a", "b"]
    assert [line.is_far for line in chart.lines] == [False, True]
    assert chart.lines[1].high < chart.lines[1].low  # y grows downwards


def test_dots_say_label_median_and_cases() -> None:
    found = [(f"c{number}", float(number)) for number in range(1, 6)]
    (row,) = dots("volume", "ml", [("liver", found, 5)], {"c5"}).rows
    assert row.summary == "3 ml, 5 cases"
    assert [dot.is_far for dot in row.dots] == [False] * 4 + [True]
    assert row.dots[0].title == "c1: 1 ml"
