"""Means over cases and labels, their intervals and what they leave out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from medseg.evaluation.segmentation import overlap_metrics, representative_cases, summarise, volume_metrics
from medseg.records import Array, CaseMetrics
from scipy import stats

NAN = float("nan")


def row(case_id: str, label: str, dice: float, *, voxels: tuple[int, int] = (9, 9)) -> CaseMetrics:
    """A case whose IoU follows from its Dice."""
    return CaseMetrics(case_id, label, {"dice": dice, "iou": dice / (2 - dice)}, *voxels)


def boxes(size: int, shared: int, *, value: int = 1) -> tuple[Array, Array]:
    """Two labelmaps of `size` voxels of a value each, that share some of them."""
    label, mask = np.zeros((2 * size, 1, 1), np.uint8), np.zeros((2 * size, 1, 1), np.uint8)
    label[:size] = value
    mask[size - shared : 2 * size - shared] = value
    return label, mask


def test_cases_count_alike_however_many_voxels_they_have() -> None:
    large, small = boxes(1000, 900), boxes(10, 1)
    rows = [
        *overlap_metrics(*large, labels={"liver": 1}, case_id="large"),
        *overlap_metrics(*small, labels={"liver": 1}, case_id="small"),
    ]
    pooled = 2 * (900 + 1) / (2 * (1000 + 10))
    by_metric = {entry.metric: entry for entry in summarise(rows).labels}
    dice, iou = by_metric["dice"], by_metric["iou"]
    assert dice.mean == pytest.approx((0.9 + 0.1) / 2)
    assert abs(dice.mean - pooled) > 0.3
    assert iou.mean == pytest.approx((900 / 1100 + 1 / 19) / 2)


def test_labels_count_alike_however_many_cases_they_have() -> None:
    rows = [row("a", "liver", 0.9), row("b", "liver", 0.7), row("c", "liver", 0.8), row("c", "tumour", 0.2)]
    summary = summarise(rows)
    assert summary.means["dice"] == pytest.approx((0.8 + 0.2) / 2)
    assert summary.cases == 3


def test_empty_in_both_is_left_out_and_empty_in_one_counts_0() -> None:
    rows = [
        row("a", "liver", 0.8),
        row("b", "liver", NAN, voxels=(0, 0)),
        row("c", "liver", 0.0, voxels=(5, 0)),
        row("d", "liver", 0.0, voxels=(0, 5)),
        row("e", "liver", 0.0, voxels=(3, 3)),
    ]
    dice = summarise(rows).labels[0]
    assert dice.mean == pytest.approx(0.8 / 4)
    assert (dice.cases, dice.both_empty, dice.one_empty) == (4, 1, 2)


def test_label_that_no_case_has_is_nan_and_does_not_enter_the_mean_over_labels() -> None:
    summary = summarise([row("a", "liver", 0.6), row("a", "tumour", NAN, voxels=(0, 0))])
    tumour = next(entry for entry in summary.labels if entry.label == "tumour")
    assert math.isnan(tumour.mean)
    assert (tumour.cases, tumour.both_empty) == (0, 1)
    assert summary.means["dice"] == pytest.approx(0.6)


def test_nothing_evaluated_is_an_empty_summary() -> None:
    summary = summarise([])
    assert (summary.labels, summary.means, summary.cases) == ((), {}, 0)


def test_interval_is_the_same_every_time_and_holds_the_mean() -> None:
    values = np.random.default_rng(5).uniform(0.6, 0.95, 20)
    rows = [row(f"case_{n}", "liver", float(value)) for n, value in enumerate(values)]
    first, second = summarise(rows).labels[0], summarise(rows).labels[0]
    assert first == second
    assert first.low < first.mean < first.high


def test_interval_agrees_with_the_normal_approximation_for_many_cases() -> None:
    values = np.random.default_rng(6).normal(0.8, 0.05, 400)
    entry = summarise([row(f"case_{n}", "liver", float(value)) for n, value in enumerate(values)]).labels[0]
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert entry.low == pytest.approx(entry.mean - half, abs=half / 5)
    assert entry.high == pytest.approx(entry.mean + half, abs=half / 5)


def test_cases_of_one_patient_are_drawn_together() -> None:
    """Ten equal cases per patient hold no more than one: five patients say what five cases would."""
    values = {"p": 0.2, "q": 0.8, "r": 0.5, "s": 0.9, "t": 0.1}
    rows = [row(f"{patient}_{n}", "liver", dice) for patient, dice in values.items() for n in range(10)]
    patients = {entry.case_id: entry.case_id[0] for entry in rows}
    grouped, alone = summarise(rows, patients=patients).labels[0], summarise(rows).labels[0]
    five = summarise([row(patient, "liver", dice) for patient, dice in values.items()]).labels[0]
    assert grouped.mean == alone.mean == pytest.approx(0.5)
    assert (grouped.low, grouped.high) == pytest.approx((five.low, five.high))
    assert alone.high - alone.low < (grouped.high - grouped.low) / 2
    assert (grouped.cases, grouped.patients) == (50, 5)


@pytest.mark.parametrize("values", [(0.5, 0.7), (0.0, 0.0, 0.0), (0.9, 0.8, 0.7, 0.6)])
def test_fewer_than_five_patients_have_words_in_place_of_an_interval(values: tuple[float, ...]) -> None:
    summary = summarise([row(str(n), "liver", value) for n, value in enumerate(values)])
    entry = summary.labels[0]
    assert entry.mean == pytest.approx(sum(values) / len(values))
    assert math.isnan(entry.low)
    assert math.isnan(entry.high)
    assert f"(too few patients for an interval: {len(values)})" in str(summary)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_share_that_every_case_has_is_not_certain(value: float) -> None:
    entry = summarise([row(str(n), "liver", value) for n in range(40)]).labels[0]
    assert entry.high - entry.low == pytest.approx(1 - 0.025 ** (1 / 40))
    assert value in (entry.low, entry.high)


@pytest.mark.parametrize("values", [[1.0] * 9 + [0.96], [1.0] * 18 + [0.999], [0.0] * 9 + [0.04]])
def test_interval_of_nearly_perfect_shares_is_narrow(values: list[float]) -> None:
    entry = summarise([row(str(n), "liver", value) for n, value in enumerate(values)]).labels[0]
    assert entry.high - entry.low < 0.02
    assert 0 <= entry.low <= entry.mean <= entry.high <= 1


def test_signed_metric_of_the_user_s_own_may_be_below_nothing() -> None:
    rows = [CaseMetrics(str(n), "liver", {"shift_mm": -2.0 - 0.1 * n}, 1, 1) for n in range(9)]
    entry = summarise(rows).labels[0]
    assert entry.low < entry.mean < entry.high < 0


def test_distances_are_never_below_nothing() -> None:
    rows = [CaseMetrics(str(n), "liver", {"hd95_mm": mm}, 1, 1) for n, mm in enumerate([1.0] * 9 + [40.0])]
    entry = summarise(rows).labels[0]
    assert entry.low == 0.0
    assert "95 % 0.0000 to" in str(entry)


def test_names_for_tracking_say_that_volumes_were_measured() -> None:
    summary = summarise([row("a", "liver", 0.9), row("a", "tumour", 0.5)])
    values = volume_metrics(summary)
    assert set(values) == {
        "volume_dice/liver", "volume_iou/liver", "volume_dice/tumour", "volume_iou/tumour",
        "volume_dice/mean", "volume_iou/mean",
    }  # fmt: skip
    assert values["volume_dice/mean"] == pytest.approx(0.7)
    assert values["volume_iou/tumour"] == pytest.approx(0.5 / 1.5)


def test_worst_median_and_best_case_go_by_their_mean_over_labels() -> None:
    rows = [
        row("a", "liver", 0.9), row("a", "tumour", 0.1),
        row("b", "liver", 0.6), row("b", "tumour", NAN, voxels=(0, 0)),
        row("c", "liver", 0.2), row("c", "tumour", 0.3),
        row("d", "liver", NAN, voxels=(0, 0)), row("d", "tumour", NAN, voxels=(0, 0)),
    ]  # fmt: skip
    found = representative_cases(rows)
    assert {name: case_id for name, (case_id, _) in found.items()} == {"worst": "c", "median": "a", "best": "b"}
    assert [mean for _, mean in found.values()] == pytest.approx([0.25, 0.5, 0.6])
    assert representative_cases([]) == {}


def test_interval_of_a_metric_that_is_no_share_is_that_of_student() -> None:
    distances_mm = [2.0, 3.5, 11.0, 4.0, 6.0]
    rows = [
        CaseMetrics(case_id=str(n), label="liver", values={"hd95_mm": mm}, label_voxels=1, mask_voxels=1)
        for n, mm in enumerate(distances_mm)
    ]
    (entry,) = summarise(rows).labels
    expected = stats.t.interval(0.95, 4, loc=np.mean(distances_mm), scale=stats.sem(distances_mm))
    assert (entry.low, entry.high) == pytest.approx(expected)
