"""Lines that say in a scheduler's log how far a job is."""

from __future__ import annotations

import pytest
from medseg.workflows.log_lines import LogLines, duration


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_short_stage_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = LogLines("train", clock=clock)
    for step in range(90):
        clock.now += 0.1
        lines.on_step((step + 1) / 90, 0.5)
    assert told(capsys) == []


def test_training_of_minutes_says_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = LogLines("train", clock=clock)
    for step in range(600):
        clock.now += 1.0
        lines.on_step((step + 1) / 600, 1 / (step + 1))
        if step == 100:
            lines.score = 0.8125
    said = told(capsys)
    assert said[0] == "train: 2 %, step 10, loss 0.100, 1 steps/s, 10 s passed, about 10 min left"
    assert len(said) == 20
    assert "last validation 0.8125" in said[5]
    assert "last validation" not in said[2]


def test_training_of_hours_says_about_a_hundred_lines(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = LogLines("train", clock=clock)
    for step in range(28_800):
        clock.now += 1.0
        lines.on_step((step + 1) / 28_800, float("nan"))
    said = told(capsys)
    assert 90 < len(said) < 130
    assert "loss" not in said[0]
    assert "h" in said[0]


def test_cases_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = LogLines("predict", clock=clock)
    for _ in range(4):
        clock.now += 40.0
        lines.on_case(4)
    assert told(capsys) == [
        "predict: 25 %, 1 of 4 cases, 40 s passed, about 2 min left",
        "predict: 50 %, 2 of 4 cases, 80 s passed, about 80 s left",
        "predict: 75 %, 3 of 4 cases, 2 min passed, about 40 s left",
        "predict: 100 %, 4 of 4 cases, 3 min passed",
    ]


def test_files_of_an_unknown_total_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = LogLines("read headers", clock=clock)
    for _ in range(12):
        clock.now += 5.0
        lines.on_files(100)
    assert told(capsys) == ["read headers: 200 files, 10 s passed", "read headers: 800 files, 40 s passed"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (600, "10 min"), (5400, "1 h 30 min"), (11_100, "3 h 05 min")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text
