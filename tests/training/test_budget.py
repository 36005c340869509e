"""Budgets in steps and in seconds."""

from __future__ import annotations

import time

import pytest
from medseg.errors import ConfigError
from medseg.training import ClockBudget, StepBudget, parse_duration_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test sets by hand."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172_800), (" 10 M ", 600), ("0.5m", 30)]
)
def test_durations_are_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-5m", "10x", "0s", "0.0h", "1h30m", "1e3s", "ten minutes", "nans"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="budget must be a positive number with s, m, h or d such as 10m"):
        parse_duration_s(text)


def test_steps_are_counted_whatever_the_clock(clock: list[float]) -> None:
    budget = StepBudget(8, used_s=5.0)
    clock[0] += 100
    budget.keep_back(50.0)
    assert [budget.progress(step) for step in (0, 2, 8, 9)] == [0.0, 0.25, 1.0, 1.0]
    assert budget.elapsed_s() == 105.0
    assert budget.remaining_s() is None


def test_clock_starts_with_the_work_and_progress_with_the_first_step(clock: list[float]) -> None:
    budget = ClockBudget(100.0, started=980.0)
    assert budget.elapsed_s() == 20.0
    assert budget.progress(0) == 0.0
    clock[0] += 40
    assert budget.progress(1) == pytest.approx(40 / 80)
    clock[0] += 40
    assert budget.progress(2) == 1.0
    assert budget.remaining_s() == 0.0


def test_what_is_kept_back_ends_the_steps_earlier(clock: list[float]) -> None:
    budget = ClockBudget(100.0, started=1000.0)
    budget.progress(0)
    budget.keep_back(20.0)
    clock[0] += 40
    assert budget.progress(5) == pytest.approx(0.5)
    assert budget.remaining_s() == pytest.approx(40.0)
    clock[0] += 40
    assert budget.progress(9) == 1.0


def test_at_most_half_of_the_clock_is_kept_back(clock: list[float]) -> None:
    budget = ClockBudget(100.0, started=1000.0)
    budget.keep_back(1000.0)
    assert budget.remaining_s() == 50.0


def test_resumed_run_has_used_its_seconds(clock: list[float]) -> None:
    budget = ClockBudget(100.0, started=1000.0, used_s=60.0)
    assert budget.elapsed_s() == 60.0
    assert budget.progress(30) == pytest.approx(0.6)
    assert budget.remaining_s() == 40.0


def test_clock_that_has_run_out_before_the_first_step_is_spent(clock: list[float]) -> None:
    assert ClockBudget(10.0, started=980.0).progress(0) == 1.0


def test_progress_never_falls_while_time_goes_on(clock: list[float]) -> None:
    budget = ClockBudget(50.0, started=1000.0)
    budget.keep_back(6.0)
    shares = []
    for step in range(60):
        shares.append(budget.progress(step))
        clock[0] += 1
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
