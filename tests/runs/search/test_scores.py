"""A trial is better than the plan only where other seeds say so over patients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from medseg.atomic import write_json
from medseg.evaluation.segmentation import write_metrics
from medseg.records import CaseMetrics
from medseg.runs.search.record import SearchFolder, repeat_name, trial_name
from medseg.runs.search.scores import Contest, case_scores, common_cases, contests, mean_score
from scipy.stats import t, ttest_ind

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
    """A plan that was trained three times, with a seed that changes all cases alike."""
    folder = SearchFolder(tmp_path)
    trained(folder, trial_name(0), alike(0.60))
    trained(folder, repeat_name(0, 1), alike(0.70))
    trained(folder, repeat_name(0, 2), alike(0.71))
    return folder


def again(folder: SearchFolder, number: int, *bases: float, swing: float = 0.0) -> None:
    """New trainings of a finalist."""
    for seed, base in enumerate(bases, 1):
        trained(folder, repeat_name(number, seed), alike(base, swing=swing))


def held(folder: SearchFolder, *finalists: int, patients: Mapping[str, str] | None = None, seeds: int = 2) -> Contest:
    """The first finalist against the plan."""
    return contests(folder, finalists or (5,), repeats=seeds, patients=patients or {})[0]


def test_score_is_the_mean_over_the_cases_that_all_trainings_measured(folder: SearchFolder) -> None:
    trained(folder, trial_name(0), alike(0.70))
    trained(folder, trial_name(1), {"c01": 0.9, "c02": 0.5, "c99": 0.1})
    scores = [case_scores(folder, trial_name(number)) for number in (1, 0)]
    assert common_cases(scores) == ("c01", "c02")
    assert mean_score(scores[0], common_cases(scores)) == pytest.approx(0.7)
    assert case_scores(folder, "trial_0077") == {}


def test_trial_that_is_better_in_every_case_by_much_more_than_seeds_change_wins(folder: SearchFolder) -> None:
    again(folder, 5, 0.75, 0.76)
    found = held(folder)
    assert found.pair is not None
    assert found.pair.difference == pytest.approx(0.05)
    expected = ttest_ind([0.75, 0.76], [0.70, 0.71], alternative="greater").pvalue
    assert found.seed_p == pytest.approx(expected)
    assert found.is_won


def test_what_seeds_change_is_estimated_from_all_finalists_together(folder: SearchFolder) -> None:
    again(folder, 5, 0.75, 0.76)
    again(folder, 7, 0.70, 0.80)
    error = math.sqrt((2 * 0.005**2 + 2 * 0.005**2 + 2 * 0.05**2) / 3)
    assert held(folder, 5, 7).seed_p == pytest.approx(float(t.sf(0.05 / error, 3)))


def test_trial_that_is_better_in_every_case_by_what_seeds_change_does_not_win(folder: SearchFolder) -> None:
    again(folder, 5, 0.71, 0.725)
    found = held(folder)
    assert found.pair is not None
    assert found.pair.p_value < 0.01
    assert not found.is_won


def test_one_new_seed_cannot_tell_and_says_so(folder: SearchFolder) -> None:
    again(folder, 5, 0.85)
    found = held(folder, seeds=1)
    assert not found.is_won
    assert "over trainings too few for a test" in str(found)


def test_equal_trainings_do_not_win(folder: SearchFolder) -> None:
    again(folder, 5, 0.70, 0.71)
    assert not held(folder).is_won


def test_trial_that_is_better_in_half_of_the_cases_does_not_win(folder: SearchFolder) -> None:
    again(folder, 5, 0.75, 0.76, swing=0.2)
    assert not held(folder).is_won


def test_lucky_first_training_does_not_count(folder: SearchFolder) -> None:
    trained(folder, trial_name(5), alike(0.95))
    assert not held(folder).is_won
    assert "not trained again" in str(held(folder))
    again(folder, 5, 0.70, 0.70)
    assert not held(folder).is_won


def test_few_patients_tell_nothing(folder: SearchFolder) -> None:
    again(folder, 5, 0.75, 0.76)
    owners = {case_id: f"p{number % 5}" for number, case_id in enumerate(CASES)}
    assert not held(folder, patients=owners).is_won
    alone = held(folder, patients=dict.fromkeys(CASES, "p0"))
    assert not alone.is_won
    assert "(no interval of so few) with other seeds; over patients (1) too few for a test" in str(alone)


def test_level_is_corrected_for_every_trial_that_was_held_against_the_plan(folder: SearchFolder) -> None:
    for seed in (1, 2):  # six patients, whose smallest p is 1/32
        trained(folder, repeat_name(5, seed), {f"c{n:02d}": 0.75 + seed / 1000 for n in range(6)})
    assert held(folder).is_won
    again(folder, 6, 0.7, 0.71)
    assert not held(folder, 5, 6).is_won
    for number in (5, 8):  # of a search that was extended, since when trial 8 is no finalist any more
        write_json(folder.end_of(repeat_name(number, 1)), {})
    assert not held(folder).is_won
