"""The learning rate over the budget."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.training.schedule import learning_rate
from medseg.training.segmentation import TrainingConfig


def config(**changes: Any) -> TrainingConfig:
    fields: dict[str, Any] = {"patch_size": (8, 8, 8), "learning_rate": 0.1, "warmup": 0.2}
    return TrainingConfig(**fields | changes)


def test_rate_rises_linearly_to_its_peak_at_the_end_of_the_warm_up() -> None:
    assert learning_rate(0.05, config()) == pytest.approx(0.025)
    assert learning_rate(0.1, config()) == pytest.approx(0.05)
    assert learning_rate(0.2, config()) == pytest.approx(0.1)


def test_first_step_learns_a_little() -> None:
    assert learning_rate(0.0, config()) == pytest.approx(0.001)


def test_without_warm_up_the_peak_comes_first() -> None:
    assert learning_rate(0.0, config(warmup=0.0)) == pytest.approx(0.1)


def test_polynomial_decay_has_the_power_0_9() -> None:
    assert learning_rate(0.6, config()) == pytest.approx(0.1 * 0.5**0.9)


def test_cosine_decay_is_half_way_at_half_time() -> None:
    cosine = config(decay="cosine")
    assert learning_rate(0.6, cosine) == pytest.approx(0.05)
    assert learning_rate(0.4, cosine) == pytest.approx(0.1 * (1 + 2**-0.5) / 2)


@pytest.mark.parametrize("decay", ["polynomial", "cosine"])
def test_rate_ends_near_nothing_but_above_it(decay: str) -> None:
    assert learning_rate(1.0, config(decay=decay)) == pytest.approx(0.1 * 1e-4)


@settings(max_examples=25, deadline=None)
@given(warmup=st.floats(0, 0.9), decay=st.sampled_from(["polynomial", "cosine"]))
def test_rate_rises_during_the_warm_up_and_falls_afterwards(warmup: float, decay: str) -> None:
    settings_ = config(warmup=warmup, decay=decay)
    rates = [(n / 200, learning_rate(n / 200, settings_)) for n in range(201)]
    rising = [rate for progress, rate in rates if progress < warmup]
    falling = [rate for progress, rate in rates if progress >= warmup]
    assert all(one <= two + 1e-12 for one, two in pairwise(rising))
    assert all(one >= two - 1e-12 for one, two in pairwise(falling))
    assert all(0 < rate <= 0.1 + 1e-12 for _, rate in rates)
