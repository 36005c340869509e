"""A second reader beside a model: means by hand, verdicts, and what is counted."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from medseg.evaluation.segmentation import InterRater, compare_pair, inter_rater
from medseg.records import CaseMetrics, Failure


def rows(*dice: float, label: str = "liver") -> list[CaseMetrics]:
    return [CaseMetrics(f"c{n:02d}", label, {"dice": value, "iou": value}, 9, 9) for n, value in enumerate(dice)]


def agreement(model: list[CaseMetrics], reader: list[CaseMetrics]) -> InterRater:
    return inter_rater(model, reader, patients={})


def test_model_is_held_against_the_reader_case_by_case() -> None:
    found = agreement(rows(0.80, 0.90, 0.70), rows(0.90, 0.94, 0.95))
    (pair,) = found.against_reader
    assert (pair.metric, pair.cases) == ("dice", 3)
    assert (pair.first, pair.second, pair.difference) == pytest.approx((0.93, 0.80, -0.13))
    assert found.summary.means["dice"] == pytest.approx(0.93)
    content = json.loads(json.dumps(found.content()))
    assert content["cases"] == 3
    assert [entry["metric"] for entry in content["structures"]] == ["dice", "iou"]
    assert content["model_against_reader"][0]["verdict"] == "unknown"


def test_model_that_is_as_good_as_a_reader_may_be_so_by_chance() -> None:
    reader = [0.90 + 0.002 * n for n in range(12)]
    model = [value + (0.01 if n % 2 else -0.012) for n, value in enumerate(reader)]
    text = str(agreement(rows(*model), rows(*reader)))
    assert text.startswith("second reader, 12 cases:\nliver readers agree at Dice 0.9110; the model at 0.9100, -0.0010")
    assert text.endswith(": may be chance")


@pytest.mark.parametrize(("shift", "words"), [(-0.05, "worse beyond chance"), (0.05, "better beyond chance")])
def test_difference_beyond_chance_is_said(shift: float, words: str) -> None:
    reader = [0.80 + 0.01 * n for n in range(12)]
    model = [value + shift * (1 + 0.02 * n) for n, value in enumerate(reader)]
    assert str(agreement(rows(*model), rows(*reader))).endswith(f"p < 0.001: {words}")


def test_cases_without_a_reading_and_failed_readings_are_counted() -> None:
    failure = Failure("c02", "second reader", "second reader, case c02: damaged")
    found = inter_rater(rows(0.8, 0.9), rows(0.9), patients={}, without_reading=["c01"], failures=[failure])
    first = str(found).splitlines()[0]
    assert first == "second reader, 1 cases, 1 without a second reading, 1 whose second reading could not be measured:"
    assert found.content()["without_reading"] == ["c01"]
    assert found.content()["failures"][0]["reason"] == "second reader, case c02: damaged"


def test_cases_with_a_number_in_one_alone_do_not_enter_and_are_said() -> None:
    nan = float("nan")
    found = agreement(rows(0.8, 0.0), rows(0.9, nan))
    assert found.against_reader[0].cases == 1
    assert str(found).endswith("; 1 cases with a number in one alone")


def test_no_reading_that_could_be_measured_is_a_line_and_no_numbers() -> None:
    assert str(agreement(rows(0.8), [])) == "second reader, 0 cases"
    none = inter_rater(rows(0.8, 0.9), [], patients={}, without_reading=["c00", "c01"])
    assert str(none) == "second reader, 0 cases, 2 without a second reading"


def test_readings_that_are_the_labels_themselves_are_told_from_others() -> None:
    nan = float("nan")
    empty = CaseMetrics("c09", "liver", {"dice": nan, "iou": nan}, 0, 0)
    left_out = CaseMetrics("c09", "liver", {"dice": nan, "iou": nan}, 0, 5)
    model = rows(0.8, 0.8)
    assert agreement(model, [*rows(1.0, 1.0), empty]).is_label_itself
    assert not agreement(model, rows(1.0, 0.9999999)).is_label_itself
    assert not agreement(model, [*rows(1.0, 1.0), left_out]).is_label_itself
    assert not agreement(model, []).is_label_itself


def test_difference_in_words_names_its_interval_and_p() -> None:
    (entry,) = [one for one in compare_pair(rows(*[0.5] * 6), rows(*[0.7] * 6), patients={}) if one.metric == "dice"]
    assert str(entry) == "+0.2000 (95 % +0.2000 to +0.2000), p = 0.031: better beyond chance"
    assert str(replace(entry, corrected_p=float("nan"))) == "+0.2000, too few patients to tell it from chance (6)"
