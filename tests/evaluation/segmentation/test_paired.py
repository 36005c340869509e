"""Two evaluations against each other: differences, their intervals, and what chance explains."""

from __future__ import annotations

import math

import numpy as np
import pytest
from medseg.evaluation.segmentation import compare_pair, needed_patients
from medseg.records import CaseMetrics
from scipy import stats


def rows(values: dict[str, list[float]], *, metric: str = "dice") -> list[CaseMetrics]:
    """A row per structure and case, which are numbered."""
    return [
        CaseMetrics(str(n), structure, {metric: value}, 9, 9)
        for structure, found in values.items()
        for n, value in enumerate(found)
    ]


def test_equal_evaluations_differ_in_nothing() -> None:
    same = rows({"liver": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]})
    (entry,) = compare_pair(same, same, patients={})
    assert (entry.difference, entry.low, entry.high, entry.p_value, entry.corrected_p) == (0.0, 0.0, 0.0, 1.0, 1.0)
    assert (entry.first_better, entry.second_better, entry.verdict) == (0, 0, "equal")


def test_difference_is_that_of_the_same_cases_and_its_p_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    one = rng.uniform(0.5, 0.9, 24)
    two = one + rng.normal(0.03, 0.02, 24)
    (entry,) = compare_pair(rows({"liver": one.tolist()}), rows({"liver": two.tolist()}), patients={})
    assert entry.difference == pytest.approx(float((two - one).mean()))
    assert entry.low < entry.difference < entry.high
    assert entry.p_value == pytest.approx(float(stats.wilcoxon(two - one).pvalue))
    assert entry.verdict == "second"
    assert compare_pair(rows({"liver": two.tolist()}), rows({"liver": one.tolist()}), patients={})[0].verdict == "first"


def test_spread_between_cases_does_not_hide_a_difference_that_all_of_them_show() -> None:
    """Unpaired, 0.02 would drown in a spread of 0.2."""
    one = np.linspace(0.2, 0.9, 12)
    two = one + np.linspace(0.015, 0.025, 12)
    (entry,) = compare_pair(rows({"liver": one.tolist()}), rows({"liver": two.tolist()}), patients={})
    assert entry.verdict == "second"
    assert 0.01 < entry.low < entry.high < 0.03


def test_shorter_distances_are_better() -> None:
    one = np.linspace(4.0, 9.0, 12)
    entry = compare_pair(
        rows({"liver": one.tolist()}, metric="hd95_mm"),
        rows({"liver": (one - np.linspace(0.9, 1.1, 12)).tolist()}, metric="hd95_mm"),
        patients={},
    )[0]
    assert entry.difference == pytest.approx(-1.0)
    assert (entry.verdict, entry.second_better) == ("second", 12)


def test_cases_of_one_patient_are_one_piece_of_evidence() -> None:
    one = [0.5] * 12
    two = [0.5 + 0.01 * (1 + n % 3) for n in range(12)]
    patients = {str(n): f"patient {n // 4}" for n in range(12)}
    (entry,) = compare_pair(rows({"liver": one}), rows({"liver": two}), patients=patients)
    assert (entry.cases, entry.patients) == (12, 3)
    assert math.isnan(entry.low)
    assert math.isnan(entry.p_value)
    assert entry.verdict == "unknown"


def test_correction_is_that_of_holm() -> None:
    rng = np.random.default_rng(3)
    one = {name: rng.uniform(0.4, 0.8, 20).tolist() for name in ("a", "b", "c")}
    shifts = {"a": 0.004, "b": 0.01, "c": 0.02}
    two = {name: (np.array(found) + rng.normal(shifts[name], 0.02, 20)).tolist() for name, found in one.items()}
    entries = compare_pair(rows(one), rows(two), patients={})
    ordered = sorted(entry.p_value for entry in entries)
    expected, largest = {}, 0.0
    for rank, p_value in enumerate(ordered):
        largest = max(largest, min(1.0, (3 - rank) * p_value))
        expected[p_value] = largest
    assert [entry.corrected_p for entry in entries] == [expected[entry.p_value] for entry in entries]
    assert any(entry.corrected_p > entry.p_value for entry in entries)


def test_cases_that_one_lacks_do_not_enter() -> None:
    one = rows({"liver": [0.9, 0.8, 0.7, float("nan"), 0.5, 0.4, 0.3]})
    two = rows({"liver": [0.9, 0.8, float("nan"), 0.6, 0.5, 0.4]})
    (entry,) = compare_pair(one, two, patients={})
    assert entry.cases == 4
    assert (entry.first, entry.second) == pytest.approx((0.65, 0.65))
    assert compare_pair(one, [], patients={}) == []


def test_needed_patients_give_the_wanted_width() -> None:
    values = np.random.default_rng(1).normal(0.8, 0.1, 30)
    count = needed_patients(values.tolist(), [str(n) for n in range(30)], half_width=0.02)
    assert count is not None
    spread = values.std(ddof=1)
    assert stats.t.ppf(0.975, count - 1) * spread / math.sqrt(count) <= 0.02
    assert stats.t.ppf(0.975, int(count * 0.97) - 1) * spread / math.sqrt(int(count * 0.97)) > 0.02
    assert needed_patients([0.8] * 3, ["a", "b", "c"], half_width=0.02) is None
    assert needed_patients([0.8] * 8, [str(n) for n in range(8)], half_width=0.02) == 5
    with pytest.raises(ValueError, match="above 0"):
        needed_patients([0.8] * 8, [str(n) for n in range(8)], half_width=0.0)


def test_signed_difference_has_no_better_side() -> None:
    one, two = np.linspace(-0.2, 0.2, 12).tolist(), np.linspace(-5.2, -4.9, 12).tolist()
    (entry,) = compare_pair(
        rows({"liver": one}, metric="volume_difference_ml"),
        rows({"liver": two}, metric="volume_difference_ml"),
        patients={},
    )
    assert (entry.verdict, entry.first_better, entry.second_better) == ("different", 0, 0)


def test_cases_with_a_number_in_one_alone_are_counted() -> None:
    """Where nothing is to be found, finding nothing has no Dice and finding something has 0: neither may vanish."""
    nan = float("nan")
    one = rows({"liver": [0.9, 0.8, nan, nan, 0.7, 0.6, 0.5]})
    two = rows({"liver": [0.9, 0.8, 0.0, nan, 0.7, 0.6, 0.5]})
    (entry,) = compare_pair(one, two, patients={})
    assert (entry.cases, entry.undefined_in_one) == (5, 1)


def test_five_patients_are_too_few_for_the_test() -> None:
    one = rows({"liver": [0.5, 0.6, 0.7, 0.8, 0.9]})
    (entry,) = compare_pair(one, rows({"liver": [0.6, 0.71, 0.8, 0.9, 0.99]}), patients={})
    assert entry.low > 0
    assert math.isnan(entry.p_value)
    assert entry.verdict == "unknown"
