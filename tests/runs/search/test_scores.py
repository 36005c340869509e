"""A trial is better than the plan only where other seeds say so over patients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from medseg.evaluation.segmentation import write_metrics
from medseg.records import CaseMetrics
from medseg.runs.search.record import SearchFolder, repeat_name, trial_name
from medseg.runs.search.scores import case_scores, common_cases, contest, mean_score

CASES = [f"c{number:02d}" for number in range(12)]


def trained(folder: SearchFolder, name: str, scores: Mapping[str, float]) -> None:
    """The table of a training's validation, with two structures of each case."""
    rows = [
        CaseMetrics(case_id, label, {"dice": score + change}, 9, 9)
        for case_id, score in scores.items()
        for label, change in (("liver", 0.05), ("spleen", -0.05))
    ]
    write_metrics(rows, folder.scores(name))


def alike(base: float, *, swing: float = 0.0) -> dict[str, float]:
    """Scores about a value, higher and lower from case to case."""
    return {case_id: base + swing * (-1) ** number for number, case_id in enumerate(CASES)}


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    folder = SearchFolder(tmp_path)
    trained(folder, trial_name(0), alike(0.70))
    trained(folder, repeat_name(0, 1), alike(0.71))
    return folder


def is_won(folder: SearchFolder, *, rivals: int = 1) -> bool:
    return contest(folder, 5, repeats=1, rivals=rivals, patients={}).is_won


def test_score_is_the_mean_over_the_cases_that_all_trainings_measured(folder: SearchFolder) -> None:
    trained(folder, trial_name(1), {"c01": 0.9, "c02": 0.5, "c99": 0.1})
    scores = [case_scores(folder, trial_name(number)) for number in (1, 0)]
    assert common_cases(scores) == ("c01", "c02")
    assert mean_score(scores[0], common_cases(scores)) == pytest.approx(0.7)
    assert case_scores(folder, "trial_0077") == {}


def test_trial_that_is_better_in_every_case_by_more_than_a_seed_changes_wins(folder: SearchFolder) -> None:
    trained(folder, repeat_name(5, 1), alike(0.75))
    found = contest(folder, 5, repeats=1, rivals=1, patients={})
    assert found.pair is not None
    assert found.pair.difference == pytest.approx(0.04)
    assert found.spread == pytest.approx(0.01)
    assert found.is_won


def test_trial_that_is_better_by_less_than_another_seed_changes_the_plan_does_not_win(folder: SearchFolder) -> None:
    trained(folder, repeat_name(5, 1), alike(0.718))
    assert not is_won(folder)


def test_trial_that_is_better_in_half_of_the_cases_does_not_win(folder: SearchFolder) -> None:
    trained(folder, repeat_name(5, 1), alike(0.73, swing=0.2))
    assert not is_won(folder)


def test_lucky_first_training_does_not_count(folder: SearchFolder) -> None:
    trained(folder, trial_name(5), alike(0.95))
    assert not is_won(folder)
    assert "not trained again" in str(contest(folder, 5, repeats=1, rivals=1, patients={}))
    trained(folder, repeat_name(5, 1), alike(0.70))
    assert not is_won(folder)


def test_few_patients_tell_nothing(folder: SearchFolder) -> None:
    trained(folder, repeat_name(5, 1), alike(0.75))
    owners = {case_id: f"p{number % 5}" for number, case_id in enumerate(CASES)}
    assert not contest(folder, 5, repeats=1, rivals=1, patients=owners).is_won


def test_level_is_corrected_for_the_number_of_finalists(folder: SearchFolder) -> None:
    few = {case_id: score for case_id, score in alike(0.75).items() if case_id < "c06"}  # p of six is 1/32
    trained(folder, repeat_name(5, 1), few)
    assert is_won(folder)
    assert not is_won(folder, rivals=2)
