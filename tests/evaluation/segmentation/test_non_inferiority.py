"""A model is shown to be no worse, or it is not shown; being not shown to be worse is not enough."""

from __future__ import annotations

import math

import numpy as np
import pytest
from medseg.evaluation.segmentation import non_inferiority
from medseg.records import CaseMetrics

OWN = {f"case_{n:02d}": f"patient_{n:02d}" for n in range(40)}


def rows(values: list[float], metric: str = "dice") -> list[CaseMetrics]:
    return [CaseMetrics(f"case_{n:02d}", "liver", {metric: value}, 100, 90) for n, value in enumerate(values)]


def spread(count: int, shift: float, noise: float) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(3)
    old = 0.8 + 0.1 * rng.uniform(-1, 1, count)
    return list(old), list(old + shift + noise * rng.normal(size=count))


def test_same_masks_are_shown_to_be_no_worse() -> None:
    old, _ = spread(20, 0, 0)
    (answer,) = non_inferiority(rows(old), rows(old), patients=OWN, margin=0)
    assert answer.is_shown
    assert "which rules out a loss of 0.000" in str(answer)


@pytest.mark.parametrize(("shift", "expected"), [(0.03, True), (0.0, True), (-0.005, True), (-0.02, False)])
def test_loss_beyond_the_margin_is_not_accepted(shift: float, expected: bool) -> None:
    old, new = spread(40, shift, 0.002)
    (answer,) = non_inferiority(rows(old), rows(new), patients=OWN, margin=0.01)
    assert answer.is_shown is expected


def test_noise_that_could_hide_a_loss_is_not_accepted_and_patients_are_named() -> None:
    old, new = spread(8, 0.0, 0.05)
    (answer,) = non_inferiority(rows(old), rows(new), patients=OWN, margin=0.01)
    assert answer.difference.verdict == "neither"
    assert not answer.is_shown
    assert answer.needed is not None
    assert answer.needed > 8
    assert f"about {answer.needed} patients could" in str(answer)


def test_four_patients_show_nothing() -> None:
    old, _ = spread(4, 0, 0)
    (answer,) = non_inferiority(rows(old), rows(old), patients=OWN, margin=0.5)
    assert not answer.is_shown
    assert "4 patients are too few" in str(answer)


def test_more_millimetres_are_a_loss() -> None:
    old = [2.0 + 0.1 * n for n in range(20)]
    nearer, farther = ([value + step for value in old] for step in (-1.0, 1.0))
    for new, expected in ((nearer, True), (farther, False)):
        (answer,) = non_inferiority(
            rows(old, "hd95_mm"), rows(new, "hd95_mm"), patients=OWN, margin=0.5, metric="hd95_mm"
        )
        assert answer.is_shown is expected


def test_drawing_what_is_not_there_is_a_loss_though_dice_is_undefined_before() -> None:
    old = [CaseMetrics(f"case_{n:02d}", "tumour", {"dice": math.nan}, 0, 0) for n in range(20)]
    drawn = [CaseMetrics(f"case_{n:02d}", "tumour", {"dice": 0.0}, 0, 9) for n in range(10)]
    new = [*drawn, *old[10:]]
    (answer,) = non_inferiority(old, new, patients=OWN, margin=0.01)
    assert answer.difference.difference == pytest.approx(-0.5)
    assert not answer.is_shown


@pytest.mark.parametrize(("margin", "metric"), [(-0.1, "dice"), (0.1, "volume_difference_ml")])
def test_a_margin_below_0_or_a_metric_without_a_better_side_is_refused(margin: float, metric: str) -> None:
    with pytest.raises(ValueError, match="must"):
        non_inferiority([], [], patients={}, margin=margin, metric=metric)
